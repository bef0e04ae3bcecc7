//! What the fuzzer runs, run here on its committed seeds and on a fixed number of bent copies of them: no fuzzer needed.

mod decoder;
mod seeds;
mod session;

use seeds::{Bender, seeds};

#[test]
fn the_decoder_holds_on_every_seed_and_on_bent_ones() {
    let seeds = seeds(include_str!("seeds/decoder.hex"));
    for (name, bytes) in &seeds {
        assert!(decoder::run(bytes) > 0, "{name} reaches no packet and no fault");
    }
    let mut bender = Bender::new(&seeds, 0xC0DEC);
    for _ in 0..60_000 {
        decoder::run(bender.next());
    }
}

#[test]
fn the_session_keeps_its_promises_on_every_seed_and_on_bent_ones() {
    let seeds = seeds(include_str!("seeds/session.hex"));
    let packets: usize = seeds.iter().map(|(_, bytes)| session::run(bytes)).sum();
    assert!(packets > 20 * seeds.len(), "only {packets} packets went");
    let mut bender = Bender::new(&seeds, 0x5E55);
    for _ in 0..60_000 {
        session::run(bender.next());
    }
}
