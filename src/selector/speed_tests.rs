//! What a selector costs: run with `cargo test --release --lib selector::speed -- --ignored --nocapture`.

#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use super::tests::Sample;
use super::{Selector, SelectorSet, Truth};

const TIMES: u32 = 2_000_000;

fn report(what: &str, mut once: impl FnMut() -> Truth) {
    for _ in 0..TIMES / 10 {
        assert_eq!(black_box(once()), Truth::True);
    }
    let started = Instant::now();
    for _ in 0..TIMES {
        black_box(once());
    }
    let each = started.elapsed().as_secs_f64() * 1e9 / f64::from(TIMES);
    println!("{what}: {each:.0} ns");
}

fn compiled(text: &str) -> Arc<Selector> {
    Arc::new(Selector::compile(text).expect("a selector"))
}

/// A message with five properties and a JSON payload of 300 bytes.
fn sample() -> Sample {
    let pairs = [
        ("device", "press-4"),
        ("line", "7"),
        ("region", "eu"),
        ("temp", "21.5"),
        ("unit", "C"),
    ];
    let mut payload =
        br#"{"device":"press-4","line":7,"readings":[1.5,2.5,3.5],"temp":21.5,"unit":"C","note":""#.to_vec();
    payload.resize(298, b'x');
    payload.extend_from_slice(br#""}"#);
    Sample {
        topic: "plant/7/press-4".into(),
        properties: pairs.map(|(name, value)| (name.into(), value.into())).into(),
        payload,
        headers: Vec::new(),
    }
}

#[test]
#[ignore = "measures"]
fn nanoseconds_of_one_evaluation() {
    let sample = sample();
    assert_eq!(sample.payload.len(), 300);
    for text in [
        "region = 'eu' AND temp > 20",
        "payload.temp > 20",
        "region = 'eu' AND payload.temp > 20",
        "device LIKE 'press-%' AND region IN ('us', 'eu') AND temp BETWEEN 20 AND 25",
        "topic LIKE 'plant/%/press-4'",
    ] {
        let selector = compiled(text);
        report(text, || selector.evaluate(&sample));
    }
}

#[test]
#[ignore = "measures"]
fn nanoseconds_of_ten_selectors_on_one_message() {
    let sample = sample();
    for (what, texts) in [
        (
            "ten on properties",
            (0..10)
                .map(|n| format!("region = 'eu' AND temp > {n}"))
                .collect::<Vec<_>>(),
        ),
        (
            "ten on the payload",
            (0..10).map(|n| format!("payload.temp > {n}")).collect(),
        ),
    ] {
        let set = SelectorSet::new(texts.iter().map(|text| compiled(text)));
        report(what, || {
            let all = set.evaluate(&sample).all(|truth| truth == Truth::True);
            Truth::from(all)
        });
    }
}
