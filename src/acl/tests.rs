//! Rules against requests, in tables and against a naive model.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::topic::{TopicFilter, plain_matches};

fn own(text: &str) -> Arc<Acl> {
    Arc::new(Acl::parse(text, Syntax::Own).unwrap_or_else(|faults| panic!("{faults:?}")))
}

fn mosquitto(text: &str) -> Arc<Acl> {
    Arc::new(Acl::parse(text, Syntax::Mosquitto).unwrap_or_else(|faults| panic!("{faults:?}")))
}

/// The rights of `user@client`, with the groups and claims that these tests know.
fn rights(acl: &Arc<Acl>, who: &str) -> Rights {
    let (user, client) = who.split_once('@').expect("user@client");
    let groups = if user == "ida" {
        vec!["proved".to_owned()]
    } else {
        Vec::new()
    };
    let claim = |name: &str| match (user, name) {
        ("ida", "site") => Some("north"),
        ("eve", "site") => Some("#"),
        _ => None,
    };
    let who = Principal {
        user: (!user.is_empty()).then_some(user),
        groups: &groups,
        client,
        claim: &claim,
    };
    Rights::new(acl, &who)
}

fn filter(text: &str) -> TopicFilter {
    TopicFilter::parse(text).expect(text)
}

const RULES: &str = r#"
# Who is who.
group fitters = alice, bob "the boss"

deny  all                 user eve           on secret/#
deny  subscribe, replay   anyone             on site/+/key
allow all                 group fitters      on site/#
allow subscribe           group proved       on site/%{site}/#
allow publish             client pump-1      on pumps/1/#
allow publish,store       anyone             on dev/%c/out
allow subscribe           anyone             on user/%u/#
allow subscribe           anyone             on %u/in
allow subscribe           anonymous          on public/#
allow subscribe           user eve           on #
allow publish             user "the boss"    on a topic with spaces/100%%
allow subscribe           anyone             on claim/%{site}
allow replay              user alice         on old/#
"#;

#[test]
fn first_rule_that_matches_decides() {
    let acl = own(RULES);
    let table = [
        // who, action, topic, line that decides (0: none), allowed
        ("eve@c", "subscribe", "secret/a", 5, false),
        ("eve@c", "publish", "secret", 5, false),
        ("eve@c", "subscribe", "other", 14, true),
        ("eve@c", "subscribe", "$SYS/a", 0, false),
        ("eve@c", "publish", "other", 0, false),
        ("alice@c", "subscribe", "site/1/key", 6, false),
        ("alice@c", "replay", "site/1/key", 6, false),
        ("alice@c", "publish", "site/1/key", 7, true),
        ("alice@c", "store", "site/1/key", 7, true),
        ("alice@c", "subscribe", "site/1/state", 7, true),
        ("alice@c", "subscribe", "site", 7, true),
        ("alice@c", "subscribe", "sites", 0, false),
        ("alice@c", "replay", "old/x", 17, true),
        ("bob@c", "replay", "old/x", 0, false),
        ("the boss@c", "publish", "site/1", 7, true),
        ("the boss@c", "publish", "a topic with spaces/100%", 15, true),
        ("the boss@c", "publish", "a topic with spaces/100%%", 0, false),
        ("ida@c", "subscribe", "site/north/a", 8, true),
        ("ida@c", "subscribe", "site/south/a", 0, false),
        ("ida@c", "subscribe", "site/north/key/x", 8, true),
        ("ida@c", "subscribe", "site/north/key", 6, false),
        ("carl@pump-1", "publish", "pumps/1/x", 9, true),
        ("@pump-1", "publish", "pumps/1", 9, true),
        ("carl@pump-2", "publish", "pumps/1/x", 0, false),
        ("carl@x", "publish", "dev/x/out", 10, true),
        ("carl@x", "store", "dev/x/out", 10, true),
        ("carl@x", "publish", "dev/y/out", 0, false),
        ("carl@#", "publish", "dev/y/out", 0, false),
        ("carl@+", "publish", "dev/y/out", 0, false),
        ("carl@x/y", "publish", "dev/x/y/out", 0, false),
        ("carl@", "publish", "dev//out", 0, false),
        ("carl@x", "subscribe", "user/carl/a", 11, true),
        ("carl@x", "subscribe", "user/dora/a", 0, false),
        ("#@x", "subscribe", "user/dora/a", 0, false),
        ("@x", "subscribe", "user//a", 0, false),
        ("$SYS@x", "subscribe", "$SYS/in", 0, false),
        ("carl@x", "subscribe", "carl/in", 12, true),
        ("@x", "subscribe", "public/a", 13, true),
        ("carl@x", "subscribe", "public/a", 0, false),
        ("ida@x", "subscribe", "claim/north", 16, true),
        ("eve@x", "subscribe", "claim/a", 14, true),
        ("dora@x", "subscribe", "claim/a", 0, false),
    ];
    for (who, action, topic, line, allowed) in table {
        let rights = rights(&acl, who);
        let decision = rights.decide(Action::parse(action).expect(action), topic);
        let found = (decision.rule.map_or(0, |rule| rule.line), decision.allowed);
        assert_eq!(found, (line, allowed), "{who} {action} {topic}");
    }
}

#[test]
fn filter_is_allowed_whole_in_part_or_not_at_all() {
    use Coverage::{None, Part, Whole};
    let table = [
        ("allow subscribe anyone on a/#", "a/#", Whole),
        ("allow subscribe anyone on a/#", "a/+/b", Whole),
        ("allow subscribe anyone on a/#", "a", Whole),
        ("allow subscribe anyone on a/#", "#", Part),
        ("allow subscribe anyone on a/#", "b/#", None),
        ("allow subscribe anyone on a/#", "+", Part),
        ("allow subscribe anyone on a/#", "+/b", Part),
        ("allow subscribe anyone on a/+", "a/#", Part),
        ("allow subscribe anyone on #", "#", Whole),
        ("allow subscribe anyone on #", "$SYS/#", None),
        ("allow subscribe anyone on $SYS/#", "#", None),
        ("allow subscribe anyone on $SYS/#", "$SYS/+", Whole),
        ("deny subscribe anyone on a/#\nallow subscribe anyone on #", "#", Part),
        ("deny subscribe anyone on a/#\nallow subscribe anyone on #", "a/+", None),
        (
            "deny subscribe anyone on a/#\nallow subscribe anyone on #",
            "b/+",
            Whole,
        ),
        ("deny subscribe anyone on a/#\nallow subscribe anyone on a/b", "#", None),
        (
            "allow subscribe anyone on a/b\ndeny subscribe anyone on a/#",
            "a/#",
            Part,
        ),
        (
            "allow subscribe anyone on a/b\ndeny subscribe anyone on a/#",
            "a/b",
            Whole,
        ),
        (
            "allow subscribe anyone on a\nallow subscribe anyone on a/+/#",
            "a/#",
            Whole,
        ),
        (
            "allow subscribe anyone on a\nallow subscribe anyone on a/+",
            "a/#",
            Part,
        ),
        ("deny publish anyone on #\nallow subscribe anyone on #", "#", Whole),
        ("allow all anyone on +\ndeny all anyone on x", "+", Whole),
        ("allow all anyone on /#", "/+", Whole),
        ("allow all anyone on +/#", "#", Whole),
        ("deny all anyone on a/b\nallow all anyone on a/+", "a/+", Part),
        ("deny all anyone on a/b\nallow all anyone on a/+", "+/b", None),
        ("", "#", None),
    ];
    for (rules, text, expected) in table {
        let rights = rights(&own(rules), "u@c");
        assert_eq!(
            rights.coverage(Action::Subscribe, &filter(text)),
            expected,
            "{rules} for {text}"
        );
        assert_eq!(
            rights.explain(Action::Subscribe, &filter(text)).0,
            expected,
            "{rules} for {text}"
        );
    }
}

#[test]
fn explanation_names_rules_that_cut_parts_out() {
    let acl = own("deny all anyone on a/b\ndeny all anyone on x\nallow all anyone on a/+\nallow all anyone on q");
    let rights = rights(&acl, "u@c");
    let (coverage, deciding) = rights.explain(Action::Subscribe, &filter("a/#"));
    let lines = |rules: &[&Rule]| rules.iter().map(|rule| rule.line).collect::<Vec<_>>();
    assert_eq!(coverage, Coverage::Part);
    assert_eq!(
        (lines(&deciding.allowing), lines(&deciding.denying)),
        (vec![3], vec![1])
    );
    assert!(deciding.unmentioned && !deciding.incomplete);
}

#[test]
fn too_many_combinations_are_looked_at_one_by_one() {
    let mut rules = String::new();
    for index in 0..3_000 {
        rules += &format!("allow all anyone on +/{index}/x/+/y/{index}\n");
    }
    let rights = rights(&own(&rules), "u@c");
    assert_eq!(
        rights.coverage(Action::Subscribe, &filter("+/+/+/+/+/z")),
        Coverage::Part
    );
    assert!(!rights.may(Action::Subscribe, "a/1/x/b/y/z"));
}

#[test]
fn deep_filters_end() {
    let rights = rights(&own("deny all anyone on +/+/x\nallow all anyone on #"), "u@c");
    let deep = vec!["+"; 30_000].join("/");
    assert_eq!(rights.coverage(Action::Subscribe, &filter(&deep)), Coverage::Whole);
    assert!(rights.may(Action::Subscribe, &vec!["a"; 30_000].join("/")));
}

#[test]
fn faults_say_where_and_what_would_be_right() {
    let table = [
        (
            "permit all anyone on #",
            "1:1: `permit` begins no line; write `allow`, `deny` or `group`",
        ),
        (
            "\n allow read anyone on #",
            "2:8: `read` is no action; write publish, subscribe, replay, store (several with commas) or all",
        ),
        (
            "allow all",
            "1:10: `` is nobody; write `user NAME`, `group NAME`, `client NAME`, `anonymous` or `anyone`",
        ),
        (
            "allow all user",
            "1:15: write a name behind `user`, in double quotes if it has spaces",
        ),
        (
            "allow all user \"a",
            "1:16: this quotation mark has no other; write \"name\"",
        ),
        (
            "allow all user é #",
            "1:18: `#` is not expected here; write `on` and a topic filter",
        ),
        ("allow all anyone", "1:17: write `on` and a topic filter"),
        (
            "allow all anyone on",
            "1:20: write a topic filter behind `on`, such as site/+/state or site/#",
        ),
        (
            "allow all anyone on a/%x",
            "1:23: write %u (user), %c (client identifier), %{claim}, or %% for a percent sign",
        ),
        (
            "allow all anyone on %{}",
            "1:21: write %{claim} with the name of a claim",
        ),
        (
            "allow all anyone on %{a",
            "1:21: write %{claim} with the name of a claim",
        ),
        (
            "allow all anyone on $share/g/#",
            "1:21: rules speak of topics; leave $share/ out (write the action `replay` or `store` where that is meant)",
        ),
        ("group", "1:6: write the name of a group, `=`, and its users"),
        ("group g a", "1:9: write `=` and the users of the group"),
        ("group g = a,,b", "1:13: a user is missing before this comma"),
    ];
    for (text, expected) in table {
        let faults = Acl::parse(text, Syntax::Own).expect_err(text);
        assert_eq!(
            faults.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [expected],
            "{text}"
        );
    }
    let many = Acl::parse("a\nb\nallow all anyone on a#\n", Syntax::Own).expect_err("three faults");
    assert_eq!(many.iter().map(|fault| fault.line).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(many[2].what.starts_with("`a#` is no topic filter: "), "{many:?}");
}

#[test]
fn mosquitto_faults_say_where() {
    let table = [
        ("acl x", "1:1: `acl` begins no line; write `user`, `topic` or `pattern`"),
        ("user", "1:5: write the name of a user behind `user`"),
        (
            "topic",
            "1:6: write [read|write|readwrite|deny] and a topic behind `topic`",
        ),
        (
            "topic  rad a",
            "1:8: `rad` is no access; write read, write, readwrite or deny, and then the topic",
        ),
    ];
    for (text, expected) in table {
        let faults = Acl::parse(text, Syntax::Mosquitto).expect_err(text);
        assert_eq!(
            faults.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [expected],
            "{text}"
        );
    }
    let faults = Acl::parse("topic read  a#", Syntax::Mosquitto).expect_err("no filter");
    assert_eq!((faults[0].line, faults[0].column), (1, 13));
}

#[test]
fn mosquitto_rules_mean_what_they_mean_there() {
    let acl = mosquitto(
        "topic read open/#\nuser rick\ntopic a b/c\ntopic readwrite r/#\ntopic deny r/secret\ntopic write w\n\
         user mo\ntopic read %u/x\npattern read p/%u/%c\npattern write 100%/%c\npattern deny p/rick/bad\n"
            .replace("topic a b/c\n", "topic readwrite a b/c\n")
            .as_str(),
    );
    let table = [
        ("@c", "subscribe", "open/a", true),
        ("@c", "replay", "open/a", true),
        ("@c", "publish", "open/a", false),
        ("rick@c", "subscribe", "open/a", false),
        ("rick@c", "publish", "a b/c", true),
        ("rick@c", "store", "r/x", true),
        ("rick@c", "subscribe", "r/secret", false),
        ("rick@c", "publish", "r/secret", false),
        ("rick@c", "publish", "w", true),
        ("rick@c", "subscribe", "w", false),
        ("mo@c", "subscribe", "%u/x", true),
        ("mo@c", "subscribe", "mo/x", false),
        ("mo@c", "subscribe", "p/mo/c", true),
        ("mo@+", "subscribe", "p/mo/c", false),
        ("@c", "subscribe", "p//c", false),
        ("@c", "publish", "100%/c", true),
        ("rick@bad", "subscribe", "p/rick/bad", false),
        ("rick@good", "subscribe", "p/rick/good", true),
    ];
    for (who, action, topic, allowed) in table {
        let may = rights(&acl, who).may(Action::parse(action).expect(action), topic);
        assert_eq!(may, allowed, "{who} {action} {topic}");
    }
}

/// A filter of the small alphabet that the model knows.
fn filters() -> impl Strategy<Value = String> {
    let level = prop_oneof![Just("a"), Just("b"), Just("+"), Just(""), Just("$a")];
    (prop::collection::vec(level, 0..4), any::<bool>()).prop_filter_map("a filter", |(levels, hash)| {
        let mut text = levels.join("/");
        if hash {
            text += if levels.is_empty() { "#" } else { "/#" };
        }
        TopicFilter::parse(&text).is_ok().then_some(text)
    })
}

/// All topics of up to five levels over an alphabet with one text that no rule has.
fn topics() -> Vec<String> {
    let (mut all, mut last) = (Vec::new(), vec![String::new()]);
    for depth in 0..5 {
        let levels = ["a", "b", "", "z", "$a"];
        let join = |before: &String| {
            levels.map(|level| {
                if depth == 0 {
                    level.into()
                } else {
                    format!("{before}/{level}")
                }
            })
        };
        last = last.iter().flat_map(join).collect();
        all.extend(last.iter().filter(|topic| !topic.is_empty()).cloned());
    }
    all
}

type Model = Vec<(bool, u8, String)>;

fn rules() -> impl Strategy<Value = Model> {
    prop::collection::vec((any::<bool>(), 1_u8..16, filters()), 0..7)
}

fn write(model: &Model) -> String {
    let lines = model.iter().map(|(allow, actions, filter)| {
        let effect = if *allow { "allow" } else { "deny" };
        let actions: Vec<_> = (Action::ALL.into_iter().enumerate())
            .filter(|(bit, _)| actions & 1 << bit != 0)
            .map(|(_, action)| action.as_str())
            .collect();
        format!("{effect} {} anyone on {filter}\n", actions.join(","))
    });
    lines.collect()
}

fn naive(model: &Model, bit: usize, topic: &str) -> bool {
    let first = model
        .iter()
        .find(|(_, actions, filter)| actions & 1 << bit != 0 && plain_matches(filter, topic));
    first.is_some_and(|(allow, ..)| *allow)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn decisions_are_those_of_the_naive_model(model in rules(), asked in filters()) {
        let rights = rights(&own(&write(&model)), "u@c");
        let all = topics();
        for (bit, action) in Action::ALL.into_iter().enumerate() {
            let (mut some, mut whole) = (false, true);
            for topic in all.iter().filter(|topic| plain_matches(&asked, topic)) {
                let expected = naive(&model, bit, topic);
                prop_assert_eq!(rights.may(action, topic), expected, "{} {}", action, topic);
                some |= expected;
                whole &= expected;
            }
            let expected = match (some, whole) {
                (true, true) => Coverage::Whole,
                (true, false) => Coverage::Part,
                (false, _) => Coverage::None,
            };
            prop_assert_eq!(rights.coverage(action, &filter(&asked)), expected);
            prop_assert_eq!(rights.explain(action, &filter(&asked)).0, expected);
        }
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_parsers_panic(text in "(?s).{0,200}") {
        for syntax in [Syntax::Own, Syntax::Mosquitto] {
            if let Err(faults) = Acl::parse(&text, syntax) {
                prop_assert!(!faults.is_empty());
            }
        }
    }

    #[test]
    fn nearly_right_text_makes_no_parser_panic(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "allow", "deny", "group", "all", "publish", ",", "user", "client", "anyone", "on", "a/#", "%u", "%{",
                "%{x}", "%", "\"", "\\", "=", "\n", " ", "topic", "pattern", "read", "#", "é", "\t", "\r\n", "$share/",
            ]),
            0..24,
        )
    ) {
        let text = words.join(" ");
        for syntax in [Syntax::Own, Syntax::Mosquitto] {
            if let Ok(acl) = Acl::parse(&text, syntax) {
                let acl = Arc::new(acl);
                for who in ["u@c", "@#", "eve@x/y"] {
                    let rights = rights(&acl, who);
                    rights.may(Action::Publish, "a/b");
                    rights.coverage(Action::Subscribe, &filter("#"));
                }
            }
        }
    }
}
