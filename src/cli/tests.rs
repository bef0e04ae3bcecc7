//! The command line as a user types it.

use std::path::Path;

use super::*;

fn invoke(line: &str) -> Result<Invocation, clap::Error> {
    Cli::try_parse_from(line.split(' ')).map(Invocation::from)
}

fn run_args(line: &str) -> Args {
    match invoke(line) {
        Ok(Invocation::Run(args)) => args,
        other => panic!("{line}: {other:?}"),
    }
}

fn loaded(line: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
    load(&run_args(line), variables).map_err(|errors| errors.to_string())
}

#[test]
fn the_command_line_is_consistent() {
    use clap::CommandFactory;
    Cli::command().debug_assert();
}

#[test]
fn without_arguments_the_broker_runs_with_the_defaults() {
    assert_eq!(loaded("rewindmq", &[]), Ok(Config::default()));
}

#[test]
fn flags_win_over_variables_and_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("x.toml");
    std::fs::write(
        &file,
        "store.path = '/file'\nstore.rules = [{ filters = 'a' }]\nsession.max_inflight = 5\n",
    )
    .expect("written");
    let line = format!(
        "rewindmq --config {} --data /flag --listen 1 --listen [::]:2 --anonymous --store b/# --store c",
        file.display()
    );
    let config = loaded(&line, &[("REWINDMQ__STORE__PATH", "/variable")]).expect("valid");
    assert_eq!(config.store.path, Path::new("/flag"));
    assert_eq!(config.session.max_inflight, 5);
    let addresses: Vec<String> = config
        .listeners
        .iter()
        .map(|listener| listener.address.to_string())
        .collect();
    assert_eq!(addresses, ["127.0.0.1:1", "[::]:2"]);
    let rules: Vec<&str> = config.store.rules.iter().map(|rule| rule.filters[0].as_str()).collect();
    assert_eq!(rules, ["a", "b/#", "c"]);
    assert_eq!(config.store.rules[1].retention, config.store.default_retention);
}

#[test]
fn rules_of_flags_have_the_retention_that_the_variables_set() {
    let variables = [("REWINDMQ__STORE__DEFAULT_RETENTION__MAX_COUNT", "3")];
    let config = loaded("rewindmq --store a", &variables).expect("valid");
    assert_eq!(config.store.rules[0].retention.max_count, Some(3));
}

#[test]
fn a_variable_names_the_file_unless_a_flag_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let (named, flagged) = (folder.path().join("named.toml"), folder.path().join("flagged.toml"));
    std::fs::write(&named, "store.path = '/named'").expect("written");
    std::fs::write(&flagged, "store.path = '/flagged'").expect("written");
    let variables = [("REWINDMQ_CONFIG", named.to_str().expect("UTF-8"))];
    assert_eq!(
        loaded("rewindmq", &variables).map(|config| config.store.path),
        Ok("/named".into())
    );
    let line = format!("rewindmq -c {}", flagged.display());
    assert_eq!(
        loaded(&line, &variables).map(|config| config.store.path),
        Ok("/flagged".into())
    );
    assert_eq!(loaded("rewindmq", &[("REWINDMQ_CONFIG", "")]), Ok(Config::default()));
}

#[test]
fn http_flag_opens_the_listener_that_the_file_closed() {
    let config = loaded("rewindmq --http :80", &[("REWINDMQ__HTTP__ENABLED", "false")]).expect("valid");
    assert_eq!(
        (config.http.enabled, config.http.address.to_string()),
        (true, "0.0.0.0:80".to_owned())
    );
}

#[test]
fn a_clash_is_judged_after_the_flags() {
    let clash = "configuration: http.address: 127.0.0.1:9883 is taken twice; give each listener its own port";
    assert_eq!(loaded("rewindmq --listen 9883", &[]), Err(clash.to_owned()));
    assert!(loaded("rewindmq --http 9884", &[("REWINDMQ__LISTENERS", "9883")]).is_ok());
    assert!(loaded("rewindmq --listen 0 --listen 0 --http 0", &[]).is_ok());
}

#[test]
fn a_listener_with_tls_needs_its_certificate() {
    let config = loaded("rewindmq --listen mqtts://localhost --tls-cert c --tls-key k", &[]).expect("valid");
    let tls = config.listeners[0].tls.clone().expect("TLS");
    assert_eq!((tls.certificates, tls.keys), (vec!["c".into()], vec!["k".into()]));
    let refused = loaded("rewindmq --listen mqtts://localhost", &[]).expect_err("no certificate");
    assert!(refused.contains("--tls-cert FILE --tls-key FILE"), "{refused}");
    assert_eq!(
        invoke("rewindmq --listen 1 --tls-cert c")
            .expect_err("no key")
            .exit_code(),
        2
    );
}

#[test]
fn a_listener_on_a_network_needs_authentication_or_the_flag() {
    let refused = loaded("rewindmq --listen :1883", &[]).expect_err("open to all");
    assert!(
        refused.contains("auth.users_file") && refused.contains("--anonymous"),
        "{refused}"
    );
    let open = loaded("rewindmq --listen :1883 --anonymous", &[]).expect("valid");
    assert!(open.listeners[0].lets_in_anonymous(open.auth.is_configured()));
    let users = [("REWINDMQ__AUTH__USERS_FILE", "users")];
    let closed = loaded("rewindmq --listen :1883", &users).expect("valid");
    assert!(!closed.listeners[0].lets_in_anonymous(closed.auth.is_configured()));
}

#[test]
fn faults_of_the_command_line_end_with_exit_code_2() {
    for line in [
        "rewindmq --listen",
        "rewindmq --listen 70000",
        "rewindmq --listen a:b",
        "rewindmq --store a#",
        "rewindmq --colour",
        "rewindmq stray",
        "rewindmq --data x check",
    ] {
        assert_eq!(invoke(line).expect_err(line).exit_code(), 2, "{line}");
    }
    assert_eq!(invoke("rewindmq --version").expect_err("shown").exit_code(), 0);
}

#[test]
fn check_takes_the_same_arguments() {
    let args = Args {
        config: Some("x.toml".into()),
        store: vec!["a".into()],
        ..Args::default()
    };
    assert_eq!(
        invoke("rewindmq check --config x.toml --store a").ok(),
        Some(Invocation::Check(args))
    );
}

#[test]
fn the_summary_tells_what_the_broker_would_do() {
    let config = loaded(
        "rewindmq --listen :1883 --anonymous --listen ws://localhost --store a/#",
        &[("REWINDMQ__HTTP__ENABLED", "false")],
    )
    .expect("valid");
    let expected = "ok\n  mqtt   0.0.0.0:1883, anonymous clients too\n  \
                    ws     localhost:8083/mqtt, anonymous clients too\n  http   none\n  store  ./data, at most 64GiB\n  \
                    stored a/#, at most 7d of each topic\n  \
                    stored what publishers ask to store, at most 7d of each topic\n";
    assert_eq!(summary(&config), expected);
}

#[test]
fn the_summary_warns_of_a_durability_below_sync() {
    let store = |word: &str| {
        let variables = [("REWINDMQ__STORE__DURABILITY", word)];
        let summary = summary(&loaded("rewindmq", &variables).expect("valid"));
        let line = summary
            .lines()
            .find(|line| line.starts_with("  store "))
            .map(str::to_owned);
        line.expect("a line about the store")
    };
    assert_eq!(store("sync"), "  store  ./data, at most 64GiB");
    assert_eq!(
        store("async"),
        "  store  ./data, at most 64GiB, durability async: forced to disk every 100ms, a crash of the system may damage it"
    );
    assert_eq!(
        store("memory"),
        "  store  at most 64GiB, durability memory: nothing survives the broker"
    );
}

#[test]
fn backup_copies_the_configured_data_folder() {
    let args = BackupArgs {
        into: "b".into(),
        data: Some("d".into()),
        config: None,
    };
    assert_eq!(
        invoke("rewindmq backup b --data d").ok(),
        Some(Invocation::Backup(args))
    );
    assert_eq!(invoke("rewindmq backup").expect_err("no folder").exit_code(), 2);
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let args = BackupArgs {
        into: at("copy"),
        ..BackupArgs::default()
    };
    let run = |durability: &str| {
        let path = at("data").into_os_string();
        let variables = [("STORE__PATH", path), ("STORE__DURABILITY", durability.into())];
        backup(
            &args,
            variables.map(|(name, value)| (format!("REWINDMQ__{name}").into(), value)),
        )
        .map_err(|error| error.to_string())
    };
    let refused = run("memory").expect_err("nothing to copy");
    assert!(refused.contains("nothing on disk"), "{refused}");
    let refused = run("sync").expect_err("no store");
    assert!(refused.contains("holds no store"), "{refused}");
    drop(crate::store::LmdbStore::open(&at("data"), &crate::store::LmdbOptions::default()).expect("opened"));
    let said = run("async").expect("copied");
    assert!(said.contains(" bytes in "), "{said}");
}

#[test]
fn a_selector_is_tried_on_a_message_from_the_command_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let payload = folder.path().join("payload");
    std::fs::write(&payload, r#"{"temp":21.5}"#).expect("written");
    let run = |text: &str| {
        let args = SelectorArgs {
            text: text.into(),
            properties: vec![("region".into(), "eu".into()), ("a".into(), "b=c".into())],
            payload: Some(payload.clone()),
            topic: "x/y".into(),
            qos: 1,
            ..SelectorArgs::default()
        };
        try_selector(&args).map_err(|fault| fault.to_string())
    };
    assert_eq!(run("region = 'eu' AND payload.temp > 20").as_deref(), Ok("true\n"));
    assert_eq!(run("a = 'b=c' AND topic = 'x/y' AND qos = 2").as_deref(), Ok("false\n"));
    assert_eq!(run("gone = 1").as_deref(), Ok("unknown\n"));
    assert_eq!(
        run("region == 'eu'"),
        Err("the selector is refused:\nregion == 'eu'\n       ^ at character 8: == is not known; write =".into())
    );
}

#[test]
fn selector_arguments_are_read() {
    let args = SelectorArgs {
        text: "-n = -1".into(),
        properties: vec![("n".into(), "1".into()), ("empty".into(), String::new())],
        topic: "topic".into(),
        ..SelectorArgs::default()
    };
    let line = ["rewindmq", "selector", "-n = -1", "--property", "n=1", "-p", "empty="];
    let cli = Cli::try_parse_from(line).expect("good arguments");
    assert_eq!(Invocation::from(cli), Invocation::Selector(args));
    let faulty = Cli::try_parse_from(["rewindmq", "selector", "a", "--property", "n"]);
    assert_eq!(faulty.err().expect("no value").exit_code(), 2);
}

#[test]
fn a_broker_is_named_before_or_behind_what_it_is_asked() {
    for line in [
        "rewindmq clients --api http://a:1 --json kick c --yes",
        "rewindmq clients kick c -y --json --api http://a:1",
    ] {
        let Ok(Invocation::Ops(OpsCommand::Clients(asked))) = invoke(line) else {
            panic!("{line}");
        };
        assert_eq!(asked.api.api.as_deref(), Some("http://a:1"));
        assert!(asked.api.json);
    }
    assert!(invoke("rewindmq cursors reset 1 yesterday").is_err());
    assert!(invoke("rewindmq retained clear").is_err());
    assert!(invoke("rewindmq clients list --connected --disconnected").is_err());
}
