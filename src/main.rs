//! The `rewindmq` program.

use std::env;
use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use rewindmq::cli::{self, Args, Invocation};
use rewindmq::server::{self, Reloading};

fn main() -> ExitCode {
    match cli::parse_args() {
        Invocation::Run(args) => run(&args),
        Invocation::Check(args) => check(&args),
        Invocation::Backup(args) => tell(cli::backup(&args, env::vars_os())),
        Invocation::Inspect(args) => tell(cli::inspect(&args)),
        Invocation::Passwd(args) => tell(cli::passwd(&args)),
        Invocation::Health(args) => tell(cli::health(&args, env::vars_os())),
        Invocation::Acl(command) => tell(cli::acl(&command, env::vars_os())),
        Invocation::Ops(command) => tell(cli::ops(&command, env::vars_os())),
        Invocation::Selector(args) => tell(cli::try_selector(&args)),
        Invocation::Pub(args) => cli::publish(&args),
        Invocation::Sub(args) => cli::subscribe(&args),
        Invocation::Completions(args) => say(io::stdout(), &cli::completions(&args), ExitCode::SUCCESS),
        Invocation::Man(args) => tell(cli::man(&args)),
    }
}

fn run(args: &Args) -> ExitCode {
    let config = match cli::load(args, env::vars_os()) {
        Ok(config) => config,
        Err(errors) => return say(io::stderr(), &format!("{errors}\n"), ExitCode::FAILURE),
    };
    let log = cli::start_log(&config.log);
    let args = args.clone();
    let level = log.clone();
    let reloading = Reloading {
        load: Box::new(move || cli::load(&args, env::vars_os()).map_err(|errors| errors.to_string())),
        set_log_level: Box::new(move |text| {
            if let Err(fault) = level.set_level(text) {
                tracing::error!(fault, "the log level could not be set");
            }
        }),
    };
    match server::run(config, Some(log), &reloading) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => say(io::stderr(), &format!("rewindmq: {fault}\n"), ExitCode::FAILURE),
    }
}

fn check(args: &Args) -> ExitCode {
    match cli::load(args, env::vars_os()) {
        Ok(config) => {
            let auth = cli::check_auth(&config).map_err(|fault| fault.to_string());
            let auth = auth.and_then(|()| cli::check_acl(&config).map_err(|fault| fault.to_string()));
            let files = auth.and_then(|()| cli::check_certificates(&config).map_err(|fault| fault.to_string()));
            match files {
                Ok(()) => say(io::stdout(), &cli::summary(&config), ExitCode::SUCCESS),
                Err(fault) => say(io::stderr(), &format!("{fault}\n"), ExitCode::FAILURE),
            }
        }
        Err(errors) => say(io::stderr(), &format!("{errors}\n"), ExitCode::FAILURE),
    }
}

/// Tells what came of something that needs no broker.
fn tell(result: Result<String, impl Display>) -> ExitCode {
    match result {
        Ok(text) => say(io::stdout(), &text, ExitCode::SUCCESS),
        Err(fault) => say(io::stderr(), &format!("rewindmq: {fault}\n"), ExitCode::FAILURE),
    }
}

/// Writes a text; one that cannot be written is a failure.
fn say(mut to: impl Write, text: &str, code: ExitCode) -> ExitCode {
    to.write_all(text.as_bytes()).map_or(ExitCode::FAILURE, |()| code)
}
