//! The command lines of `pub` and `sub` as a user types them, and the line for another client that explains one.

use clap::Parser;

use super::explain::command_line;
use super::{PubArgs, SubArgs};

#[derive(Debug, Parser)]
struct Publishing {
    #[command(flatten)]
    args: PubArgs,
}

#[derive(Debug, Parser)]
struct Subscribing {
    #[command(flatten)]
    args: SubArgs,
}

fn words(line: &str) -> impl Iterator<Item = String> {
    let words = shlex::split(line).expect("a shell takes it apart");
    std::iter::once("x".to_owned()).chain(words)
}

fn sub(line: &str) -> SubArgs {
    Subscribing::try_parse_from(words(line)).expect(line).args
}

fn explained(line: &str) -> String {
    command_line(&sub(line)).expect(line)
}

#[test]
fn a_payload_comes_from_one_place() {
    for (line, said) in [
        ("t", "required"),
        ("t -m a -f b", "cannot be used"),
        ("t -m a --stdin", "cannot be used"),
        ("t -m a --lines", "cannot be used"),
        ("t --stdin --repeat 2", "cannot be used"),
        ("a/+ -m x", "wildcard"),
        ("t -m x --qos 3", "0..=2"),
        ("t -m x -p nothing", "NAME=VALUE"),
        ("t -m x --expiry 1500ms", "whole seconds"),
        ("t -m x --expiry 0s", "above zero"),
        ("t -m x --keep-alive 1d", "at most 65535s"),
        ("t -m x --url http://h", "mqtt://"),
    ] {
        let fault = Publishing::try_parse_from(words(line)).expect_err(line).to_string();
        assert!(fault.contains(said), "{line}: {fault}");
    }
    let args = Publishing::try_parse_from(words("t -m -1 -p a=b=c -p e= --store --keep-alive 0"))
        .expect("good")
        .args;
    assert_eq!(
        (args.message.as_deref(), args.qos, args.connection.keep_alive),
        (Some("-1"), 1, 0)
    );
    assert_eq!(
        args.properties,
        [("a".to_owned(), "b=c".to_owned()), ("e".to_owned(), String::new())]
    );
    assert!(args.raw_properties().len() > 20);
}

#[test]
fn what_a_subscription_cannot_be_is_refused_before_there_is_a_connection() {
    for (line, said) in [
        ("", "required"),
        ("a#", "#"),
        ("'$share/g/a'", "--group"),
        ("'$replay/first/a'", "--from"),
        ("a -g b/c", "no /"),
        ("a -g '#'", "group"),
        ("a --from frist", "unknown start"),
        ("a --selector 'a =='", "^ at character"),
        ("a --reset", "--from"),
        ("a --session-expiry 1d", "--durable"),
        ("a --durable x -i y", "cannot be used"),
        ("a --json -q", "cannot be used"),
        ("a -n 0", "not in"),
        ("a --cert x", "--key"),
    ] {
        let fault = Subscribing::try_parse_from(words(line)).expect_err(line).to_string();
        assert!(fault.contains(said), "{line}: {fault}");
    }
}

#[test]
fn a_durable_subscriber_resumes_its_session() {
    let connect = sub("a --durable x").connect().expect("no file is named");
    assert_eq!((&*connect.client_id, connect.clean_start), ("x", false));
    assert_eq!(
        (connect.session_expiry_secs, connect.receive_maximum),
        (Some(604_800), Some(1_000))
    );
    let connect = sub("a -i y -n 3").connect().expect("no file is named");
    assert_eq!((&*connect.client_id, connect.clean_start), ("y", true));
    assert_eq!((connect.session_expiry_secs, connect.receive_maximum), (None, Some(3)));
}

#[test]
fn options_become_user_properties_and_filters() {
    let args = sub("a 'b/#' -g g --from 5m --reset --selector \"x = 'y'\"");
    let subscribe = args.subscribe();
    let filters: Vec<&str> = subscribe.filters.iter().map(|filter| &*filter.filter).collect();
    assert_eq!(filters, ["$share/g/a", "$share/g/b/#"]);
    let properties = [("replay", "delta:5m"), ("cursor", "reset"), ("selector", "x = 'y'")];
    let expected: Vec<_> = properties
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    assert_eq!(subscribe.user_properties, expected);
}

#[test]
fn the_explained_line_is_what_a_shell_takes_apart_again() {
    assert_eq!(
        explained("a/b"),
        "mosquitto_sub -V 5 -h 127.0.0.1 -p 1883 -q 1 -t a/b -v"
    );
    let line = explained("'orders/#' -g w --from first --selector \"it = 'o''k' AND x > 1\" -n 2 --json --qos 0");
    let found = shlex::split(&line).expect("a shell takes it apart");
    let selector = "it = 'o''k' AND x > 1";
    let expected = [
        "mosquitto_sub",
        "-V",
        "5",
        "-h",
        "127.0.0.1",
        "-p",
        "1883",
        "-q",
        "0",
        "-D",
        "subscribe",
        "user-property",
        "replay",
        "first",
        "-D",
        "subscribe",
        "user-property",
        "selector",
        selector,
        "-t",
        "$share/w/orders/#",
        "-C",
        "2",
        "-F",
        "%j",
    ];
    assert_eq!(found, expected);
    let line =
        explained("a -q --durable x --session-expiry 1h --url mqtts://ann@h --ca-file 'my ca' --password-file p");
    assert_eq!(
        line,
        "mosquitto_sub -V 5 -h h -p 8883 -u ann -P \"$(head -n 1 p)\" --cafile 'my ca' -c -i x -x 3600 -q 1 -t a"
    );
    assert!(command_line(&sub("a --url ws://h")).is_err());
}
