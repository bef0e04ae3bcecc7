use std::fs;

use super::*;

const RULES: &str = "allow publish user ann on a/#\ndeny subscribe anyone on a/secret\nallow subscribe anyone on a/#\n";

fn asked(file: PathBuf, action: Asked, topic: &str) -> AclCommand {
    AclCommand::Explain(ExplainArgs {
        acl: Some(file),
        mosquitto: false,
        config: None,
        user: Some("ann".into()),
        groups: Vec::new(),
        claims: Vec::new(),
        client: "c".into(),
        action,
        topic: topic.into(),
    })
}

#[test]
fn explanation_names_file_and_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("acl");
    fs::write(&file, RULES).expect("written");
    let name = file.display();
    let table = [
        (
            Asked::Publish,
            "a/b",
            format!("allowed\n  {name}:1: allow publish user ann on a/#\n"),
        ),
        (Asked::Publish, "b", "denied\n  no rule speaks of it\n".to_owned()),
        (Asked::Store, "a/b", "denied\n  no rule speaks of it\n".to_owned()),
        (
            Asked::Subscribe,
            "$share/g/a/+",
            format!(
                "allowed in part\n  {name}:3: allow subscribe anyone on a/#\n  {name}:2: deny subscribe anyone on a/secret\n"
            ),
        ),
        (
            Asked::Subscribe,
            "a/b",
            format!("allowed\n  {name}:3: allow subscribe anyone on a/#\n"),
        ),
        (
            Asked::Subscribe,
            "a/secret",
            format!("denied\n  {name}:2: deny subscribe anyone on a/secret\n"),
        ),
        (
            Asked::Replay,
            "#",
            "denied\n  no rule speaks of the other topics: denied\n".to_owned(),
        ),
    ];
    for (action, topic, expected) in table {
        let said = acl(&asked(file.clone(), action, topic), []).expect("said");
        assert_eq!(said, expected, "{action:?} {topic}");
    }
    let fault = acl(&asked(file, Asked::Publish, "a/#"), []).expect_err("no topic");
    assert!(fault.to_string().starts_with("\"a/#\" is no topic: "), "{fault}");
}

#[test]
fn faulty_file_is_told_line_by_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("acl");
    fs::write(&file, "allow\nallow all anyone on #\n").expect("written");
    let check = |mosquitto| {
        let file = file.clone();
        acl(&AclCommand::Check(CheckArgs { file, mosquitto }), [])
    };
    let fault = check(false).expect_err("faulty").to_string();
    assert!(fault.starts_with(&format!("{}:1:6: ", file.display())), "{fault}");
    assert_eq!(check(true).expect_err("faulty").to_string().lines().count(), 2);
    fs::write(&file, "allow all anyone on #\n").expect("written");
    assert_eq!(check(false).expect("right"), "ok, 1 rules\n");
}
