//! Mutation fuzz of the decoder: valid packets, bent, cut and joined at random.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::BytesMut;

use super::{LIMITS, encoded, samples};
use crate::codec::*;
use crate::types::Version;

const INPUTS: u64 = 4_000_000;
const ROUND: u64 = 20_000;

/// Values at which length and identifier fields turn.
const BYTES: [u8; 14] = [0, 1, 2, 3, 0x0B, 0x18, 0x23, 0x26, 0x7F, 0x80, 0x81, 0xC0, 0xFE, 0xFF];

#[test]
fn mutated_packets_never_panic_and_what_is_accepted_reads_back() {
    let seeds: Vec<Vec<u8>> = samples::all().iter().map(|sample| super::wire(sample.wire)).collect();
    let (mut accepted, mut refused) = (0u64, 0u64);
    for round in 0..INPUTS / ROUND {
        let mut random = fastrand::Rng::with_seed(0xC0DEC + round);
        let mut input = Vec::new();
        for number in 0..ROUND {
            mutate(&seeds, &mut random, &mut input);
            let outcome = catch_unwind(AssertUnwindSafe(|| try_all(&input)))
                .unwrap_or_else(|_| panic!("seed {:#x}, input {number}: {input:02X?}", 0xC0DEC + round));
            accepted += outcome.0;
            refused += outcome.1;
        }
    }
    // A fuzz that only ever gets in, or never does, tests nothing.
    assert!(
        accepted > INPUTS / 10 && refused > INPUTS / 10,
        "{accepted} accepted, {refused} refused"
    );
}

/// Makes one input: a sample with a few faults, mostly with a Remaining Length that is right again.
fn mutate(seeds: &[Vec<u8>], random: &mut fastrand::Rng, input: &mut Vec<u8>) {
    input.clear();
    input.extend_from_slice(&seeds[random.usize(..seeds.len())]);
    for _ in 0..random.usize(1..5) {
        let at = random.usize(..=input.len());
        match random.u8(..8) {
            0 | 1 => set(input, at, random.u8(..)),
            2 | 3 => set(input, at, BYTES[random.usize(..BYTES.len())]),
            4 => input.truncate(at),
            5 => input.insert(at, BYTES[random.usize(..BYTES.len())]),
            6 if at < input.len() => drop(input.remove(at)),
            _ => splice(input, at, &seeds[random.usize(..seeds.len())], random),
        }
    }
    if random.u8(..4) > 0 && (2..130).contains(&input.len()) {
        input[1] = (input.len() - 2) as u8;
    }
}

fn set(input: &mut [u8], at: usize, byte: u8) {
    if let Some(there) = input.get_mut(at) {
        *there = byte;
    }
}

fn splice(input: &mut Vec<u8>, at: usize, other: &[u8], random: &mut fastrand::Rng) {
    let start = random.usize(..=other.len());
    let end = random.usize(start..=other.len());
    input.splice(at..at, other[start..end].iter().copied());
}

/// Decodes as every peer would; returns how many accepted a packet and how many refused the bytes.
fn try_all(input: &[u8]) -> (u64, u64) {
    let mut count = (0, 0);
    let results = [
        (Version::V5, decode(input, None, &LIMITS)),
        (Version::V5, decode(input, Some(Version::V5), &LIMITS)),
        (Version::V3, decode(input, Some(Version::V3), &LIMITS)),
        (Version::V5, decode_from_server(input, Version::V5, &LIMITS)),
        (Version::V3, decode_from_server(input, Version::V3, &LIMITS)),
    ];
    for (version, result) in results {
        match result {
            Ok(Some((packet, len))) => {
                assert!(len <= input.len(), "more than there is");
                reads_back(&packet, version);
                count.0 += 1;
            }
            Ok(None) => {}
            Err(error) => {
                assert!(error.reason.is_error() && !error.what.is_empty());
                count.1 += 1;
            }
        }
    }
    count
}

fn reads_back(packet: &Packet<'_>, version: Version) {
    let bytes = encoded(packet, version);
    let again = decode_from_server(&bytes, version, &LIMITS);
    assert_eq!(again, Ok(Some((packet.clone(), bytes.len()))));
}

#[test]
fn random_bytes_never_panic() {
    let mut random = fastrand::Rng::with_seed(0xBADC0DE);
    let mut input = [0; 64];
    for number in 0..200_000 {
        let len = random.usize(..=64);
        random.fill(&mut input[..len]);
        catch_unwind(AssertUnwindSafe(|| try_all(&input[..len])))
            .unwrap_or_else(|_| panic!("input {number}: {:02X?}", &input[..len]));
    }
}

#[test]
fn a_stream_cut_anywhere_gives_the_same_packets() {
    let mut random = fastrand::Rng::with_seed(5);
    for version in [Version::V3, Version::V5] {
        let samples: Vec<_> = samples::all()
            .into_iter()
            .filter(|sample| sample.version == version)
            .collect();
        for _ in 0..200 {
            let (mut stream, mut found, mut sent) = (BytesMut::new(), 0, 0);
            let bytes: Vec<u8> = samples.iter().flat_map(|sample| super::wire(sample.wire)).collect();
            while found < samples.len() {
                let more = random.usize(..40).min(bytes.len() - sent);
                stream.extend_from_slice(&bytes[sent..sent + more]);
                sent += more;
                while let Some((packet, len)) = decode(&stream, Some(version), &LIMITS).expect("well formed") {
                    assert_eq!(packet, samples[found].packet);
                    let _ = stream.split_to(len);
                    found += 1;
                }
            }
            assert!(stream.is_empty() && sent == bytes.len());
        }
    }
}
