//! `rewindmq pub` and `rewindmq sub`: a client of MQTT 5 for any broker. Knows nothing of the broker of this crate.

mod client;
mod connection;
mod duration;
mod error;
mod explain;
mod ledger;
mod payloads;
mod progress;
mod publish;
mod publish_args;
mod screen;
mod signals;
mod start;
mod subscribe;
mod subscribe_args;
mod url;
mod view;

use std::future::Future;
use std::io::Write;
use std::process::ExitCode;

pub use connection::ConnectionArgs;
pub use publish_args::PubArgs;
pub use start::StartText;
pub use subscribe_args::SubArgs;
pub use url::BrokerUrl;

use error::MqttError;

/// Publishes, and says what became of it.
pub fn publish(args: &PubArgs) -> ExitCode {
    ended(run(publish::publish(args)))
}

/// Subscribes and prints what comes, or explains how another client would.
pub fn subscribe(args: &SubArgs) -> ExitCode {
    if args.explain {
        return ended(explain::explain(args).map(|()| Ending::Done));
    }
    ended(run(subscribe::subscribe(args)))
}

/// How a command ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// All of it is done.
    Done,
    /// What came to pass is told already, and not all of it is good.
    Failed,
    /// Fewer messages came than were wanted.
    TooFew,
}

fn ended(result: Result<Ending, MqttError>) -> ExitCode {
    match result {
        Ok(Ending::Done) => ExitCode::SUCCESS,
        Ok(Ending::Failed) => ExitCode::FAILURE,
        Ok(Ending::TooFew) => ExitCode::from(TOO_FEW),
        Err(fault) => {
            tell(&format!("rewindmq: {fault}\n"));
            ExitCode::FAILURE
        }
    }
}

/// Runs to the end; what still hangs in a write to standard output then is left there.
fn run<T>(work: impl Future<Output = Result<T, MqttError>>) -> Result<T, MqttError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(MqttError::Runtime)?;
    let result = runtime.block_on(work);
    runtime.shutdown_background();
    result
}

/// Says something to people; where nobody can hear it, nothing is lost.
fn tell(text: &str) {
    std::io::stderr().write_all(text.as_bytes()).ok();
}

/// The exit code of a `sub` that ended before it had `--count` messages.
const TOO_FEW: u8 = 3;

#[cfg(test)]
mod tests;
