//! The decoder under libFuzzer.
#![no_main]

#[path = "../../decoder.rs"]
mod decoder;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    decoder::run(input);
});
