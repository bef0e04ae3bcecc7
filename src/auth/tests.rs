//! Exchanges from both sides, and the file behind them.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::types::Timestamp;

const NOW: Timestamp = Timestamp(1_000);
const SERVER_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const FIRST: &[u8] = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
const CHALLENGE: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
const LAST: &str =
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
const SIGNATURE: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

fn secret(password: &str) -> Secret {
    let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").expect("base64");
    Secret::derive(password, &salt, Work::new(4_096).expect("allowed")).expect("a password")
}

/// `user` with the password of RFC 7677 section 3.
fn users() -> Users {
    Users::parse(&format!("# people\n\nuser:{}\n", secret("pencil")), [1; 32]).expect("a right file")
}

fn begun(users: &Users, first: &[u8]) -> (Exchange, String) {
    let mut exchange = Exchange::new(NOW);
    match exchange.handle_data(first, users, SERVER_NONCE, NOW) {
        Step::Continue(data) => (exchange, String::from_utf8(data).expect("text")),
        other => panic!("not begun: {other:?}"),
    }
}

fn refusal(step: Step) -> &'static str {
    match step {
        Step::Refused(Refusal(why)) => why,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn the_example_of_rfc_7677_holds() {
    let users = users();
    let (mut exchange, challenge) = begun(&users, FIRST);
    assert_eq!(challenge, CHALLENGE);
    let done = exchange.handle_data(LAST.as_bytes(), &users, SERVER_NONCE, NOW);
    assert_eq!(done, Step::Done(Identity::from("user"), SIGNATURE.into()));
}

#[test]
fn a_wrong_password_is_refused() {
    let text = format!("user:{}\n", secret("pencil2"));
    let users = Users::parse(&text, [1; 32]).expect("a right file");
    let (mut exchange, _) = begun(&users, FIRST);
    let step = exchange.handle_data(LAST.as_bytes(), &users, SERVER_NONCE, NOW);
    assert_eq!(refusal(step), "the user or the password is wrong");
}

#[test]
fn a_user_that_is_not_there_looks_like_one_that_is() {
    let users = users();
    let stranger = b"n,,n=stranger,r=rOprNGfwEbeRWgbNEkqO";
    let (mut exchange, challenge) = begun(&users, stranger);
    let (_, again) = begun(&users, stranger);
    assert_eq!(challenge, again, "always the same salt");
    let (_, other) = begun(&users, b"n,,n=another,r=rOprNGfwEbeRWgbNEkqO");
    assert_ne!(challenge, other);
    assert_eq!(challenge.len(), CHALLENGE.len());
    assert!(challenge.ends_with(",i=4096"), "{challenge}");
    let step = exchange.handle_data(LAST.as_bytes(), &users, SERVER_NONCE, NOW);
    assert_eq!(refusal(step), "the user or the password is wrong");
}

#[test]
fn another_identity_cannot_be_asked_for() {
    let users = users();
    let (_, challenge) = begun(&users, b"n,a=user,n=user,r=x");
    assert!(challenge.starts_with("r=x%hv"));
    let (exchange, _) = begun(&users, b"n,a=root,n=user,r=x");
    let (own, _) = begun(&users, b"n,a=user,n=user,r=x");
    assert_eq!((exchange.proves(), own.proves()), (None, Some("user")));
}

#[test]
fn what_does_not_belong_to_the_exchange_is_refused() {
    let users = users();
    for (wrong, why) in [
        (LAST.replace("c=biws", "c=eSws"), "channel binding"),
        (LAST.replace("r=rOpr", "r=xOpr"), "nonce"),
        (LAST.replace("$k0,", "$k1,"), "nonce"),
        (LAST.replace("p=dH", "p=dI"), "password"),
        (LAST.replace(",p=", ",x=y,p="), "password"),
        ("nonsense".to_owned(), "SCRAM-SHA-256"),
    ] {
        let (mut exchange, _) = begun(&users, FIRST);
        let found = refusal(exchange.handle_data(wrong.as_bytes(), &users, SERVER_NONCE, NOW));
        assert!(found.contains(why), "{wrong}: {found}");
        // After a fault even the right answer comes too late.
        let late = exchange.handle_data(LAST.as_bytes(), &users, SERVER_NONCE, NOW);
        assert_eq!(refusal(late), "the authentication is over");
    }
}

#[test]
fn an_answer_of_another_exchange_is_worth_nothing() {
    let users = users();
    let mut exchange = Exchange::new(NOW);
    exchange.handle_data(FIRST, &users, "another", NOW);
    let step = exchange.handle_data(LAST.as_bytes(), &users, "another", NOW);
    assert!(refusal(step).contains("nonce"));
}

#[test]
fn an_exchange_ends_with_its_time() {
    let users = users();
    let (mut exchange, _) = begun(&users, FIRST);
    let step = exchange.handle_data(LAST.as_bytes(), &users, SERVER_NONCE, Timestamp(1_001));
    assert_eq!(refusal(step), "the authentication took too long");
}

#[test]
fn a_secret_reads_back() {
    let made = secret("pencil");
    assert_eq!(Secret::parse(&made.to_string()), Ok(made.clone()));
    assert_eq!(format!("{made:?}"), "Secret(..)");
    assert_eq!(
        Secret::derive("", b"12345678", DEFAULT_ITERATIONS),
        Err(SecretError::Password)
    );
    assert_eq!(Work::new(4_095), Err(SecretError::Iterations));
}

#[test]
fn a_fault_in_the_file_names_its_line_and_what_would_be_right() {
    let good = secret("pencil").to_string();
    for (line, what) in [
        ("user", "expected <name>:<secret>"),
        ("user:plain", "user: expected SCRAM-SHA-256$<iterations>:<salt>"),
        (&format!(":{good}"), "a user's name must have 1 to 255 bytes"),
        (
            &format!("user:{}", good.replace("$4096:", "$9:")),
            "from 4096 to 10000000",
        ),
        (
            &format!("user:{}", good.replace("W22Z", "!!!!")),
            "the salt is not base64",
        ),
        (&format!("user:{good}="), "the ServerKey is not base64 of 32 bytes"),
        (&format!("known:{good}"), "known: stands twice"),
    ] {
        let text = format!("# people\nknown:{good}\n{line}\n");
        let faults = Users::parse(&text, [0; 32]).expect_err("a fault");
        assert_eq!(faults.len(), 1, "{line}");
        assert!(faults[0].to_string().starts_with("3: "), "{}", faults[0]);
        assert!(faults[0].what.contains(what), "{}", faults[0]);
    }
}

#[test]
fn names_that_look_alike_to_saslprep_are_one_user() {
    let text = format!("I\u{AD}X:{}\n", secret("pencil"));
    let users = Users::parse(&text, [0; 32]).expect("a right file");
    assert!(users.find("IX").is_some());
}

#[test]
fn users_are_written_changed_and_removed_and_the_rest_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("users");
    set_user(&path, "ann", &secret("a")).expect("written");
    let mode = fs::metadata(&path).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = fs::read_to_string(&path).expect("read");
    fs::write(&path, format!("# people\n{text}\n")).expect("written");
    set_user(&path, "bob", &secret("b")).expect("written");
    set_user(&path, "ann", &secret("c")).expect("written");
    let text = fs::read_to_string(&path).expect("read");
    assert_eq!(text, format!("# people\nann:{}\n\nbob:{}\n", secret("c"), secret("b")));
    assert_eq!(load_users(&path).expect("a right file").len(), 2);
    remove_user(&path, "ann").expect("removed");
    assert_eq!(
        fs::read_to_string(&path).expect("read"),
        format!("# people\n\nbob:{}\n", secret("b"))
    );
    let fault = remove_user(&path, "ann").expect_err("gone").to_string();
    assert!(fault.ends_with("users: there is no user ann"), "{fault}");
    let left: Vec<_> = fs::read_dir(folder.path()).expect("a folder").collect();
    assert_eq!(left.len(), 1, "nothing is left behind: {left:?}");
}

#[test]
fn a_password_is_checked_whatever_its_form() {
    let argon = ArgonSecret::derive("pencil", &[7; 16]).expect("a password");
    let text = format!("scram:{}\nargon:{argon}\n", secret("pencil"));
    let users = Users::parse(&text, [0; 32]).expect("a right file");
    for name in ["scram", "argon"] {
        assert_eq!(users.check_password(name, b"pencil"), Some(Identity::from(name)));
        for wrong in [&b"pencil2"[..], b"", b"\xFF", b"pencil\0"] {
            assert_eq!(users.check_password(name, wrong), None, "{name}");
        }
    }
    assert_eq!(users.check_password("nobody", b"pencil"), None);
    assert_eq!(users.check_password("", b"pencil"), None);
    assert_eq!((users.has("argon"), users.has("nobody")), (true, false));
    assert!(users.find("argon").is_none(), "no exchange without keys for it");
}

#[test]
fn what_an_attempt_may_cost_is_bounded_when_the_file_is_read() {
    let hash = "$AAECAwQFBgcICQoLDA0ODw$AAECAwQFBgcICQoLDA0ODw";
    for (secret, what) in [
        (format!("$argon2id$v=19$m=262145,t=1,p=1{hash}"), "at most m=262144"),
        (format!("$argon2id$v=19$m=1024,t=65,p=1{hash}"), "t=64"),
        (format!("$argon2id$v=19$m=1024,t=1,p=17{hash}"), "p=16"),
        (format!("$argon2id$v=19$m=1,t=1,p=1{hash}"), "at least 8 times p"),
        (
            format!("$argon2i$v=19$m=1024,t=1,p=1{hash}"),
            "expected $argon2id$v=19$",
        ),
        (
            format!("$argon2id$v=19$t=1,m=1024,p=1{hash}"),
            "expected $argon2id$v=19$",
        ),
        ("$7$0$AAAA$AAAA".to_owned(), "from 1 to 10000000"),
        ("$7$10000001$AAAA$AAAA".to_owned(), "from 1 to 10000000"),
        ("$7$101$AAAA".to_owned(), "expected $7$<iterations>"),
        ("$6$AAAA$AAAA".to_owned(), "the hash is not base64 of 64 bytes"),
    ] {
        let faults = Users::parse(&format!("u:{secret}\n"), [0; 32]).expect_err("a fault");
        assert!(faults[0].what.contains(what), "{secret}: {}", faults[0]);
    }
}

proptest::proptest! {
    #[test]
    fn no_text_brings_the_parser_of_users_down(text in ".{0,20}[:$=,0-9a-z\n]{0,60}(\\$argon2id\\$v=19\\$m=.{0,30})?") {
        let _ = Users::parse(&text, [0; 32]);
        for form in ["$6$", "$7$", "$argon2id$v=19$", "SCRAM-SHA-256$"] {
            if let Err(faults) = Users::parse(&format!("u:{form}{text}"), [0; 32]) {
                proptest::prop_assert!(faults.iter().all(|fault| fault.line > 0 && !fault.what.is_empty()));
            }
        }
    }
}

#[test]
fn a_file_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("users");
    let fault = load_users(&path).expect_err("not there").to_string();
    assert!(fault.contains("users: cannot be read: "), "{fault}");
    fs::write(&path, "a\n\nb\n").expect("written");
    let fault = load_users(&path).expect_err("faulty").to_string();
    assert!(
        fault
            .lines()
            .nth(1)
            .is_some_and(|line| line.contains("users:3: expected <name>:<secret>")),
        "{fault}"
    );
}
