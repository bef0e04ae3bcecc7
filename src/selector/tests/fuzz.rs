use std::sync::Arc;

use proptest::prelude::*;

use super::sample::Sample;
use crate::selector::{FaultKind, MAX_NESTING, MAX_TEXT, Selector, SelectorSet, Selectors, Truth, parse};

/// Pieces of which some orders are selectors.
const PIECES: &[&str] = &[
    "a",
    "b",
    "\"a b\"",
    "payload.a",
    "payload",
    "payload.b[0]",
    "topic",
    "JMSPriority",
    "'x'",
    "'it''s'",
    "''",
    "1",
    "0",
    "2.5",
    "-7",
    "0x1F",
    "017",
    "9223372036854775807",
    "7E3",
    ".5",
    "TRUE",
    "false",
    "=",
    "<>",
    "<",
    "<=",
    ">",
    ">=",
    "+",
    "-",
    "*",
    "/",
    "(",
    ")",
    ",",
    "AND",
    "OR",
    "NOT",
    "BETWEEN",
    "IN",
    "LIKE",
    "'%x_'",
    "ESCAPE",
    "'!'",
    "IS",
    "NULL",
    "IN ('x', 1)",
    "BETWEEN 1 AND 3",
    "= 1",
    "AND a = b",
    "OR b IS NULL",
];

fn sample() -> Sample {
    Sample {
        topic: "a/b".into(),
        properties: vec![("a".into(), "x".into()), ("b".into(), "2.5".into())],
        payload: br#"{"a":1,"b":["x"]}"#.into(),
        headers: Vec::new(),
    }
}

/// Parses, prints, parses again, evaluates.
fn goes_round(text: &str) -> Result<(), TestCaseError> {
    let Ok(tree) = parse(text) else { return Ok(()) };
    let printed = tree.to_string();
    let again = parse(&printed).map_err(|fault| TestCaseError::fail(format!("{text} -> {printed}: {fault}")))?;
    prop_assert_eq!(&again, &tree, "{} -> {}", text, printed);
    prop_assert_eq!(again.to_string(), printed);
    let selector = Arc::new(Selector::compile(text).expect("it parses"));
    let _ = selector.evaluate(&sample());
    Ok(())
}

fn literal() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>()
            .prop_filter("finite", |number| number.is_finite())
            .prop_map(|number| format!("{number:?}")),
        (0..64_u32).prop_map(|number| format!("0x{number:x}")),
    ]
}

/// Those that are short enough to be made.
const WORDS: [&str; 9] = ["and", "or", "not", "in", "is", "like", "null", "true", "false"];

fn name() -> impl Strategy<Value = String> {
    let quoted = |text: String| format!("\"{}\"", text.replace('"', "\"\""));
    let step = prop_oneof![
        "\\.[a-z]{1,3}",
        "\\PC{1,3}".prop_map(move |text| format!(".{}", quoted(text))),
        "\\[[0-9]{1,3}\\]",
    ];
    prop_oneof![
        "[a-zé_$][a-z0-9ß]{0,4}".prop_filter("no word of the language", |name| !WORDS.contains(&name.as_str())),
        "\\PC{1,6}".prop_map(quoted),
        prop::collection::vec(step, 0..5).prop_map(|path| format!("payload{}", path.concat())),
        Just("JMSTimestamp".to_owned()),
    ]
}

fn operand() -> impl Strategy<Value = String> {
    prop_oneof![literal(), name()].prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            (inner.clone(), "[-+*/]", inner.clone()).prop_map(|(one, sign, other)| format!("{one} {sign} {other}")),
            ("[-+]", inner.clone()).prop_map(|(sign, operand)| format!("{sign} {operand}")),
            inner.prop_map(|operand| format!("({operand})")),
        ]
    })
}

fn condition() -> impl Strategy<Value = String> {
    let quoted = |text: String| format!("'{}'", text.replace('\'', "''"));
    let leaf = prop_oneof![
        (operand(), "(=|<>|<|<=|>|>=)", operand()).prop_map(|(one, is, other)| format!("{one} {is} {other}")),
        (operand(), "(NOT )?", operand(), operand()).prop_map(|(a, not, b, c)| format!("{a} {not}BETWEEN {b} AND {c}")),
        (name(), "(NOT )?", "[ab%_!]{0,6}a")
            .prop_map(|(name, not, like)| format!("{name} {not}LIKE '{like}' ESCAPE '!'")),
        (name(), "(NOT )?", any::<String>().prop_map(quoted))
            .prop_map(|(name, not, item)| format!("{name} {not}IN ({item}, 2)")),
        (name(), "(NOT )?").prop_map(|(name, not)| format!("{name} IS {not}NULL")),
        (name(), any::<String>().prop_map(quoted)).prop_map(|(name, text)| format!("{name} = {text}")),
        name(),
    ];
    leaf.prop_recursive(5, 32, 3, |inner| {
        prop_oneof![
            (inner.clone(), "(AND|OR)", inner.clone()).prop_map(|(one, word, other)| format!("{one} {word} {other}")),
            inner.clone().prop_map(|inner| format!("NOT {inner}")),
            inner.prop_map(|inner| format!("({inner})")),
        ]
    })
}

proptest! {
    #[test]
    fn any_text_is_a_selector_or_a_fault(text in any::<String>()) {
        goes_round(&text)?;
    }

    #[test]
    fn words_in_any_order_are_a_selector_or_a_fault(words in prop::collection::vec(prop::sample::select(PIECES), 0..14)) {
        goes_round(&words.join(" "))?;
        goes_round(&words.concat())?;
    }

    #[test]
    fn what_is_printed_parses_to_the_same_tree(text in condition()) {
        prop_assert!(parse(&text).is_ok() || text.len() > MAX_TEXT, "{text}: {}", parse(&text).unwrap_err());
        goes_round(&text)?;
    }

    #[test]
    fn a_fault_is_at_a_character_of_the_text(text in "[a-z0-9é'\"=<>!.%() ]{0,20}") {
        if let Err(fault) = parse(&text) {
            prop_assert!(text.is_char_boundary(fault.at));
            prop_assert_eq!(text[..fault.at].chars().count() + 1, fault.column);
            prop_assert!(fault.explain(&text).lines().count() == 2);
        }
    }

    #[test]
    fn selectors_say_the_same_together_as_alone(texts in prop::collection::vec(condition(), 1..6)) {
        let known = Selectors::default();
        let selectors: Vec<_> = texts.iter().filter_map(|text| known.compile(text).ok()).collect();
        let set = SelectorSet::new(selectors.iter().cloned());
        let sample = sample();
        let together: Vec<_> = set.evaluate(&sample).collect();
        let alone: Vec<_> = selectors.iter().map(|selector| selector.evaluate(&sample)).collect();
        prop_assert_eq!(together, alone, "{:?}", texts);
    }
}

/// Runs with little stack, so that what recurses too deep is found.
fn with_little_stack(run: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(1 << 20);
    thread
        .spawn(run)
        .expect("a thread")
        .join()
        .expect("no panic and no overflow");
}

fn nested(open: &str, inner: &str, close: &str, depth: usize) -> String {
    format!("{}{inner}{}", open.repeat(depth), close.repeat(depth))
}

#[test]
fn nesting_is_bounded() {
    // What repeats, what stands in the middle, what closes it, and how many levels one repetition is.
    let shapes = [
        ("(", "a = 1", ")", 1),
        ("NOT ", "a = 1", "", 1),
        ("NOT (", "a = 1", ")", 2),
        ("(b AND ", "a = 1", ")", 1),
        ("1 = 1 OR NOT (b OR ", "a = 1", ")", 2),
        ("- ", "a", "", 1),
        ("1 + (", "a", ")", 1),
        ("2 * -(", "a", ")", 2),
        ("(1 / (", "a", "))", 2),
    ];
    for (open, inner, close, levels) in shapes {
        let end = if inner == "a" { " = 1" } else { "" };
        let good = nested(open, inner, close, MAX_NESTING / levels) + end;
        let printed = parse(&good)
            .unwrap_or_else(|fault| panic!("{open}: {fault}"))
            .to_string();
        with_little_stack(move || {
            let selector = Arc::new(Selector::compile(&good).expect("it was parsed before"));
            let _ = selector.evaluate(&sample());
            assert!(parse(&printed).is_ok());
            let fault = parse(&nested(open, inner, close, MAX_NESTING + 1)).expect_err(open);
            assert_eq!(fault.kind, FaultKind::TooDeep, "{open}");
        });
    }
}

#[test]
fn long_selectors_take_linear_time_and_no_stack() {
    with_little_stack(|| {
        let many = |part: &str, word: &str| {
            let count = (MAX_TEXT - 64) / (part.len() + word.len());
            vec![part; count].join(word)
        };
        let sample = sample();
        let evaluate = |text: &str| Arc::new(Selector::compile(text).expect("a selector")).evaluate(&sample);
        assert_eq!(evaluate(&many("b > 2", " AND ")), Truth::True);
        assert_eq!(evaluate(&many("b < 2", " OR ")), Truth::False);
        assert_eq!(evaluate(&(many("0", "+") + "=b")), Truth::False);
        assert_eq!(evaluate(&(many("1", "*") + "<b")), Truth::True);
        assert_eq!(evaluate(&format!("a IN ({})", many("'y'", ","))), Truth::False);
        assert_eq!(evaluate(&format!("\"{}\" IS NULL", many("n", "n"))), Truth::True);
        assert_eq!(evaluate(&format!("a LIKE '{}'", many("%", "x"))), Truth::False);
    });
    let long = format!("a = '{}'", "x".repeat(MAX_TEXT));
    assert_eq!(
        parse(&long).expect_err("too long").kind,
        FaultKind::TooLong(MAX_TEXT + 6)
    );
}

#[test]
fn paths_are_bounded() {
    let paths = |count: usize| {
        (0..count)
            .map(|n| format!("payload.p{n} = 1"))
            .collect::<Vec<_>>()
            .join(" OR ")
    };
    assert!(Selector::compile(&paths(64)).is_ok());
    assert_eq!(
        Selector::compile(&paths(65)).expect_err("many").kind,
        FaultKind::TooManyPaths
    );
    assert!(parse(&format!("payload{} = 1", "[0]".repeat(32))).is_ok());
    assert_eq!(
        parse(&format!("payload{} = 1", "[0]".repeat(33)))
            .expect_err("deep")
            .kind,
        FaultKind::PathTooDeep
    );
}
