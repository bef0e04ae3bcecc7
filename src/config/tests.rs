//! The configuration as an operator meets it: the shipped file, variables, and every kind of fault.

use std::time::Duration;

use super::*;

const SHIPPED: &str = include_str!("../../conf/rewindmq.toml");

fn parse(text: &str) -> Result<Config, String> {
    with_variables(text, &[])
}

fn with_variables(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
    Config::read_from(Some((Path::new("x.toml"), text)), variables, |_| {}).map_err(|errors| errors.to_string())
}

/// The text with every `#key = value` and `#[[table]]` as if the operator had taken the `#` away.
fn uncommented(text: &str) -> String {
    let option =
        |line: &str| line.starts_with('#') && line[1..].starts_with(|c: char| c.is_ascii_lowercase() || c == '[');
    text.lines()
        .map(|line| if option(line) { &line[1..] } else { line })
        .collect::<Vec<_>>()
        .join("\n")
}

/// Every key, with those of list elements under the list's name; elements may have the same.
fn keys(prefix: &str, table: &toml::Table, into: &mut std::collections::BTreeSet<String>) {
    for (key, value) in table {
        let key = format!("{prefix}{key}");
        match value {
            toml::Value::Table(inner) => keys(&format!("{key}."), inner, into),
            toml::Value::Array(items) if !items.is_empty() && items.iter().all(toml::Value::is_table) => {
                for item in items.iter().filter_map(toml::Value::as_table) {
                    let mut of_item = std::collections::BTreeSet::new();
                    keys(&format!("{key}."), item, &mut of_item);
                    into.extend(of_item);
                }
            }
            _ => assert!(into.insert(key.clone()), "{key} stands twice"),
        }
    }
}

#[test]
fn the_shipped_file_is_the_default() {
    assert_eq!(parse(SHIPPED), Ok(Config::default()));
    assert_eq!(parse(""), Ok(Config::default()));
}

#[test]
fn the_values_in_the_shipped_file_are_the_defaults() {
    let mut config = parse(&uncommented(SHIPPED)).expect("every option in the file is valid");
    assert_eq!(config.store.rules.len(), 1);
    assert_eq!(config.shared.rules.len(), 1);
    assert_eq!(config.listeners.len(), 2);
    config.listeners.truncate(1);
    config.store.rules.clear();
    config.shared.rules.clear();
    assert_eq!(config, Config::default());
}

/// The keys that a table has, as the fault of an unknown one tells them. `head` are the lines that open it.
fn element_keys(list: &str, head: &str) -> Vec<String> {
    let faults = parse(&format!("{head}\nquite_unknown_here = 1")).expect_err("an unknown key");
    let (_, known) = faults.split_once("known here: ").expect("the known keys");
    known
        .lines()
        .take(1)
        .flat_map(|line| line.split(", "))
        .map(|key| format!("{list}.{key}"))
        .collect()
}

#[test]
fn every_option_is_in_the_shipped_file() {
    let mut written = std::collections::BTreeSet::new();
    keys("", &uncommented(SHIPPED).parse().expect("TOML"), &mut written);
    let mut sources = Sources::new(None, []);
    sources.read(sources.document().expect("TOML").get_ref(), &mut Config::default());
    let single = sources
        .names()
        .map(|name| name.replace("__", ".").to_lowercase())
        .filter(|key| key != "listeners");
    let listed = ["listeners", "store.rules", "shared.rules"]
        .into_iter()
        .flat_map(|list| element_keys(list, &format!("[[{list}]]")))
        .filter(|key| key != "listeners.tls")
        .chain(element_keys("listeners.tls", "[[listeners]]\n[listeners.tls]"));
    assert_eq!(single.chain(listed).collect::<std::collections::BTreeSet<_>>(), written);
}

#[test]
fn a_file_replaces_what_it_names_and_nothing_else() {
    let config = parse(
        r#"
        listeners = [{ address = "10.0.0.1:1884", anonymous = true }, { address = 1885 }]
        http.enabled = false
        [store]
        path = "/var/lib/rewindmq"
        max_bytes = 0
        default_retention = { max_age = "1d", max_count = 5 }
        [[store.rules]]
        filters = "a/#"
        max_age = 0
        [[store.rules]]
        filters = ["b", "c/+"]
        exclude = ["c/d"]
        max_bytes = 1_000
        [session]
        duplicate_client_id = "reject"
        max_keep_alive = "1h"
        [shared]
        rules = [{ group = "a*", strategy = "sticky" }]
        "#,
    )
    .expect("valid");
    let listener = |address: &str| Listener {
        anonymous: address.starts_with("10.").then_some(true),
        ..Listener::on(address.parse().expect("an address"))
    };
    let mut expected = Config {
        listeners: ["10.0.0.1:1884", "127.0.0.1:1885"].map(listener).to_vec(),
        ..Config::default()
    };
    expected.http.enabled = false;
    expected.store.path = "/var/lib/rewindmq".into();
    expected.store.max_bytes = None;
    let retention = Retention {
        max_age: Some(Duration::from_secs(86_400)),
        max_count: Some(5),
        max_bytes: None,
    };
    expected.store.default_retention = retention;
    let first = Retention {
        max_age: None,
        ..retention
    };
    let second = Retention {
        max_bytes: Some(1_000),
        ..retention
    };
    expected.store.rules = vec![
        StoreRule {
            filters: vec!["a/#".into()],
            exclude: vec![],
            retention: first,
        },
        StoreRule {
            filters: vec!["b".into(), "c/+".into()],
            exclude: vec!["c/d".into()],
            retention: second,
        },
    ];
    expected.session.duplicate_client_id = DuplicateClientId::Reject;
    expected.session.max_keep_alive = Some(Duration::from_secs(3_600));
    expected.shared.rules = vec![SharedRule {
        group: "a*".into(),
        strategy: SharedStrategy::Sticky,
    }];
    assert_eq!(config, expected);
}

#[test]
fn a_fault_names_its_line_its_key_and_what_would_be_right() {
    let duration = "expected a duration with its unit, such as \"7d\", \"90s\" or \"500ms\"";
    for (text, fault) in [
        (
            "\n[store]\nmax_byts = 5",
            "x.toml:3: store.max_byts: unknown key; did you mean `max_bytes`?",
        ),
        (
            "[stroe]\npath = ''",
            "x.toml:1: stroe: unknown key; did you mean `store`?",
        ),
        (
            "[log]\ncolour = 1",
            "x.toml:2: log.colour: unknown key; known here: format, level",
        ),
        (
            "[store]\npath = 5",
            "x.toml:2: store.path: expected a path such as \"./data\", found 5",
        ),
        ("store = 5", "x.toml:1: store: expected a table [store], found 5"),
        (
            "store.rules = 5",
            "x.toml:1: store.rules: expected tables [[store.rules]], found 5",
        ),
        (
            "store.rules = ['a']",
            "x.toml:1: store.rules: expected tables [[store.rules]], found \"a\"",
        ),
        (
            "[[store.rules]]\nexclude = 'a'",
            "x.toml:1: store.rules.filters: missing, and it has no default",
        ),
        (
            "[[store.rules]]\nfilters = 'a/#/b'",
            "x.toml:2: store.rules.filters: the wildcard # must be alone in the last level, found \"a/#/b\"",
        ),
        (
            "[[store.rules]]\nfilters = []",
            "x.toml:2: store.rules.filters: expected at least one topic filter, found none",
        ),
        (
            "[[store.rules]]\nfilters = 'a'\nmax_cont = 1",
            "x.toml:3: store.rules.max_cont: unknown key; did you mean `max_count`?",
        ),
        (
            "listeners = []",
            "x.toml:1: listeners: expected at least one listener, found an empty list",
        ),
        (
            "[[listeners]]",
            "x.toml:1: listeners.address: missing, and it has no default",
        ),
        (
            "[[listeners]]\naddress = ':1883'",
            "configuration: listeners: 0.0.0.0:1883 can be reached from a network, and nothing says who may come in; \
             either let clients prove who they are (auth.users_file, or client certificates by [listeners.tls]), or let \
             everybody in (anonymous = true in [[listeners]], or the flag --anonymous)",
        ),
        (
            "[[listeners]]\naddress = 1\ntransport = 'udp'",
            "x.toml:3: listeners.transport: expected one of \"tcp\", \"websocket\", found \"udp\"",
        ),
        (
            "[[listeners]]\naddress = 1\nversions = ['5']",
            "x.toml:3: listeners.versions: expected one of \"3.1.1\", \"5.0\", found \"5\"",
        ),
        (
            "[[listeners]]\naddress = 'unix:/x'\nmode = '0888'",
            "x.toml:3: listeners.mode: expected permissions in octal digits such as \"0660\", found \"0888\"",
        ),
        (
            "[[listeners]]\naddress = 1\nproxy_protocol = true",
            "x.toml:3: listeners.proxy_protocol: true without trusted_proxies; say from which networks the proxies \
             connect, such as [\"10.0.0.0/8\"]",
        ),
        (
            "[[listeners]]\naddress = 1\ntrusted_proxies = 'lan'",
            "x.toml:3: listeners.trusted_proxies: expected a network such as \"10.0.0.0/8\" or an IP address, found \"lan\"",
        ),
        (
            "[[listeners]]\naddress = 1\n[listeners.tls]\ncertificate = 'a'",
            "x.toml:3: listeners.tls.key: missing, and it has no default\n\
             x.toml:3: listeners.tls: as many keys as certificates are needed, in the same order",
        ),
        (
            "[[listeners]]\naddress = 1\ntls = { certificate = 'a', key = 'b', client_certificate = 'required' }",
            "x.toml:3: listeners.tls: client_certificate = \"optional\" or \"required\" and client_ca are needed together",
        ),
        (
            "[[listeners]]\naddress = 'unix:/x'\ntls = { certificate = 'a', key = 'b' }",
            "x.toml:3: listeners.tls: a Unix socket has no TLS; leave [listeners.tls] out",
        ),
        (
            "[http]\nenabled = 'yes'",
            "x.toml:2: http.enabled: expected true or false, found \"yes\"",
        ),
        (
            "[http]\naddress = 'here'",
            "x.toml:2: http.address: expected an address such as \"127.0.0.1:1883\", found \"here\"",
        ),
        (
            "[session]\nreceive_maximum = 0",
            "x.toml:2: session.receive_maximum: expected an integer from 1 to 65535, found 0",
        ),
        (
            "[session]\nreceive_maximum = 1.5",
            "x.toml:2: session.receive_maximum: expected an integer from 1 to 65535, found a number with a fraction",
        ),
        (
            "[session]\nmax_packet_size = '1GiB'",
            "x.toml:2: session.max_packet_size: expected a size from 128 to 268435460, found \"1GiB\"",
        ),
        (
            "[session]\nmax_keep_alive = '1500ms'",
            "x.toml:2: session.max_keep_alive: expected a duration of whole seconds, found \"1500ms\" (0 means no limit)",
        ),
        (
            "[session]\nduplicate_client_id = 'take-over'",
            "x.toml:2: session.duplicate_client_id: expected one of \"takeover\", \"reject\", found \"take-over\"; \
             did you mean \"takeover\"?",
        ),
        (
            "[store]\nmax_bytes = '64K'",
            "x.toml:2: store.max_bytes: expected a size such as \"64KiB\", \"10MB\", or a number \
             of bytes, found \"64K\" (0 means no limit)",
        ),
        (
            "[store]\nretention_interval = 1",
            &format!("x.toml:2: store.retention_interval: {duration}, found 1"),
        ),
        (
            "[store]\ndurability = 'asynch'",
            "x.toml:2: store.durability: expected one of \"sync\", \"async\", \"memory\", found \"asynch\"; \
             did you mean \"async\"?",
        ),
        (
            "[store]\nasync_flush = '5ms'",
            "x.toml:2: store.async_flush: expected a duration from 10ms to 1m, found \"5ms\"",
        ),
        (
            "[store]\ncursor_flush = '2s'",
            "x.toml:2: store.cursor_flush: expected a duration from 1ms to 1s, found \"2s\"",
        ),
        (
            "[[shared.rules]]\ngroup = 'a/b'\nstrategy = 'random'",
            "x.toml:2: shared.rules.group: expected a group name without / + #, such as \"billing-*\", found \"a/b\"",
        ),
        (
            "[log]\nlevel = 'rewindmq=debug,inof'",
            "x.toml:2: log.level: expected one of \"off\", \"error\", \"warn\", \"info\", \"debug\", \"trace\", \
             found \"inof\"; did you mean \"info\"?",
        ),
        (
            "listeners = [{ address = 9883 }]",
            "configuration: http.address: 127.0.0.1:9883 is taken twice; give each listener its own port",
        ),
    ] {
        assert_eq!(parse(text), Err(fault.to_owned()), "{text}");
    }
}

#[test]
fn every_option_of_a_listener_is_read() {
    let config = parse(
        r#"
        [[listeners]]
        name = "wss"
        address = "0.0.0.0"
        transport = "websocket"
        path = "/a"
        versions = "5.0"
        max_connections = 5
        proxy_protocol = true
        trusted_proxies = ["10.0.0.0/8", "::1"]
        [listeners.tls]
        certificate = ["a.pem", "b.pem"]
        key = ["a.key", "b.key"]
        min_version = "1.3"
        client_certificate = "required"
        client_ca = "ca.pem"
        client_crl = "crl.pem"
        client_identity = "email"
        [[listeners]]
        address = "unix:/run/x"
        mode = 0o600
        anonymous = false
        "#,
    );
    let wss = Listener {
        name: Some("wss".into()),
        address: Endpoint::Tcp("0.0.0.0:8084".parse().expect("an address")),
        transport: Transport::WebSocket,
        path: "/a".into(),
        versions: Versions { v3: false, v5: true },
        max_connections: Some(5),
        proxy_protocol: true,
        trusted_proxies: ["10.0.0.0/8", "::1/128"]
            .map(|text| text.parse().expect("a network"))
            .to_vec(),
        tls: Some(Tls {
            certificates: vec!["a.pem".into(), "b.pem".into()],
            keys: vec!["a.key".into(), "b.key".into()],
            min_version: TlsVersion::V13,
            client_certificate: ClientCertificate::Required,
            client_ca: Some("ca.pem".into()),
            client_crl: vec!["crl.pem".into()],
            client_identity: Identified::Email,
        }),
        ..Listener::default()
    };
    let unix = Listener {
        address: Endpoint::Unix("/run/x".into()),
        mode: 0o600,
        anonymous: Some(false),
        ..Listener::default()
    };
    assert_eq!(config.map(|config| config.listeners), Ok(vec![wss, unix]));
}

#[test]
fn all_faults_are_found_in_one_run_in_the_order_of_the_lines() {
    let text = "[shared]\nstrategy = 'x'\n[session]\nmax_inflight = 0\n[http]\nport = 1\n[store]\npath = ''";
    let errors = with_variables(text, &[("REWINDMQ__LOG__LEVEL", "loud")]).expect_err("faulty");
    let places: Vec<&str> = errors.lines().filter_map(|line| line.split(": ").next()).collect();
    assert_eq!(
        places,
        ["x.toml:2", "x.toml:4", "x.toml:6", "x.toml:8", "REWINDMQ__LOG__LEVEL"],
        "{errors}"
    );
}

#[test]
fn what_is_not_toml_is_refused_with_its_line() {
    for text in [
        "[store]\npath = \n",
        "[store\n",
        "a = 'b",
        "[store]\npath = 'a'\npath = 'b'",
        "\u{0}",
    ] {
        let errors = parse(text).expect_err(text);
        assert!(errors.lines().all(|line| line.starts_with("x.toml:")), "{errors}");
    }
    let twice = parse("[store]\npath = 'a'\npath = 'b'").expect_err("a duplicate");
    assert!(twice.starts_with("x.toml:3: "), "{twice}");
}

#[test]
fn variables_win_over_the_file() {
    let file = "[store]\npath = '/file'\n[session]\nmax_expiry = '1h'\n[[store.rules]]\nfilters = 'a'";
    let config = with_variables(
        file,
        &[
            ("REWINDMQ__STORE__PATH", "/variable"),
            ("REWINDMQ__STORE__MAX_BYTES", "2GiB"),
            ("REWINDMQ__STORE__DEFAULT_RETENTION__MAX_AGE", "2h"),
            ("REWINDMQ__STORE__ALLOW_PUBLISHER_STORE", "false"),
            ("REWINDMQ__SESSION__RECEIVE_MAXIMUM", "10"),
            ("REWINDMQ__SHARED__STRATEGY", "random"),
            ("REWINDMQ__LISTENERS", "1884, [::1]:1885"),
            ("REWINDMQ_CONFIG", "is not an option"),
            ("PATH", "is not ours"),
        ],
    )
    .expect("valid");
    assert_eq!(config.store.path, Path::new("/variable"));
    assert_eq!(config.store.max_bytes, Some(2 << 30));
    assert_eq!(
        config.store.rules[0].retention.max_age,
        Some(Duration::from_secs(7_200))
    );
    assert!(!config.store.allow_publisher_store);
    assert_eq!(config.session.max_expiry, Some(Duration::from_secs(3_600)));
    assert_eq!(config.session.receive_maximum, 10);
    assert_eq!(config.shared.strategy, SharedStrategy::Random);
    let listeners: Vec<String> = config
        .listeners
        .iter()
        .map(|listener| listener.address.to_string())
        .collect();
    assert_eq!(listeners, ["127.0.0.1:1884", "[::1]:1885"]);
}

#[test]
fn a_fault_in_a_variable_names_the_variable() {
    for (name, value, fault) in [
        (
            "REWINDMQ__SESSION__MAX_INFLIGHT",
            "many",
            "session.max_inflight: expected an integer from 1 to 65535, found \"many\"",
        ),
        (
            "REWINDMQ__STORE__PTAH",
            "x",
            "unknown variable; did you mean `REWINDMQ__STORE__PATH`?",
        ),
        ("REWINDMQ__", "x", "unknown variable"),
        (
            "REWINDMQ__LISTENERS",
            "",
            "listeners: expected at least one listener, found an empty list",
        ),
    ] {
        let errors = with_variables("", &[(name, value)]).expect_err(name);
        assert_eq!(errors, format!("{name}: {fault}"));
    }
}

#[test]
fn a_file_that_cannot_be_read_is_a_fault_of_the_same_shape() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("none.toml");
    let errors = Config::load(Some(&path), [], |_| {})
        .expect_err("no such file")
        .to_string();
    assert!(
        errors.starts_with(&format!("{}: cannot be read: ", path.display())),
        "{errors}"
    );
}
