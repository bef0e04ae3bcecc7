//! The seeds, as lines `name: hex`, and inputs made of them. Knows no target.

/// A seed's name and bytes.
pub type Seed = (String, Vec<u8>);

/// Reads a file of seeds; `#` begins a comment.
pub fn seeds(text: &str) -> Vec<Seed> {
    let lines = text
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    let seeds: Vec<Seed> = lines.map(seed).collect();
    assert!(seeds.len() > 10, "only {} seeds", seeds.len());
    seeds
}

fn seed(line: &str) -> Seed {
    let (name, hex) = line
        .split_once(": ")
        .unwrap_or_else(|| panic!("not `name: hex`: {line}"));
    let digits = |at: usize| hex.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let bytes = (0..hex.len()).step_by(2).map(digits).collect::<Option<Vec<u8>>>();
    (name.to_owned(), bytes.unwrap_or_else(|| panic!("not hex: {line}")))
}

/// Bends seeds: the same inputs in every run.
pub struct Bender<'a> {
    seeds: &'a [Seed],
    random: fastrand::Rng,
    input: Vec<u8>,
}

impl<'a> Bender<'a> {
    pub fn new(seeds: &'a [Seed], seed: u64) -> Self {
        Self {
            seeds,
            random: fastrand::Rng::with_seed(seed),
            input: Vec::new(),
        }
    }

    /// The next input: a seed with a few faults, or with a part of another one.
    pub fn next(&mut self) -> &[u8] {
        self.input.clear();
        let seed = self.pick();
        self.input.extend_from_slice(seed);
        for _ in 0..self.random.usize(1..5) {
            self.bend();
        }
        &self.input
    }

    fn bend(&mut self) {
        let at = self.random.usize(..=self.input.len());
        let byte = match self.random.bool() {
            true => self.random.u8(..),
            false => TURNING_POINTS[self.random.usize(..TURNING_POINTS.len())],
        };
        match self.random.u8(..8) {
            0..4 => self.input.iter_mut().skip(at).take(1).for_each(|there| *there = byte),
            4 => self.input.truncate(at),
            5 => self.input.insert(at, byte),
            6 if at < self.input.len() => drop(self.input.remove(at)),
            _ => {
                let other = self.pick();
                let start = self.random.usize(..=other.len());
                let end = self.random.usize(start..=other.len());
                self.input.splice(at..at, other[start..end].iter().copied());
            }
        }
    }

    fn pick(&mut self) -> &'a [u8] {
        &self.seeds[self.random.usize(..self.seeds.len())].1
    }
}

/// Values at which length and identifier fields turn.
const TURNING_POINTS: [u8; 14] = [0, 1, 2, 3, 0x0B, 0x18, 0x23, 0x26, 0x7F, 0x80, 0x81, 0xC0, 0xFE, 0xFF];
