//! What the process takes of the machine, under the names that Prometheus' own clients use. Read from `/proc` when the page
//! is; where there is none, these metrics are left out.

use std::fmt::{Display, Write};
use std::fs;
use std::sync::OnceLock;

/// Adds the metrics of this process to a page.
pub(super) fn write(page: &mut String) {
    let counter = "counter";
    let gauge = "gauge";
    if let Some(stat) = Stat::read() {
        put(page, "process_cpu_seconds_total", counter, CPU, stat.cpu_seconds());
        put(page, "process_virtual_memory_bytes", gauge, VIRTUAL, stat.virtual_bytes);
        put(page, "process_threads", gauge, THREADS, stat.threads);
        // Read once: the machine's start moves by a second when its clock is set.
        if let Some(started) = *STARTED.get_or_init(|| stat.started()) {
            put(page, "process_start_time_seconds", gauge, START, started);
        }
    }
    if let Some(bytes) = resident_bytes() {
        put(page, "process_resident_memory_bytes", gauge, RESIDENT, bytes);
    }
    if let Ok(descriptors) = fs::read_dir("/proc/self/fd") {
        // One of them is the listing's own.
        put(
            page,
            "process_open_fds",
            gauge,
            OPEN,
            descriptors.count().saturating_sub(1),
        );
    }
    if let Ok((limit, _)) = rlimit::Resource::NOFILE.get() {
        put(page, "process_max_fds", gauge, MAX_OPEN, limit);
    }
}

fn put(page: &mut String, name: &str, kind: &str, help: &str, value: impl Display) {
    // Writing to a string does not fail.
    let _ = write!(page, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n\n");
}

/// What is used of `/proc/self/stat`.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    cpu_ticks: u64,
    threads: u64,
    /// Since the machine was started.
    start_ticks: u64,
    virtual_bytes: u64,
}

impl Stat {
    fn read() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/self/stat").ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        // The name of the program, in parentheses, may have blanks and parentheses in it; what follows begins with field 3.
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            cpu_ticks: field(14)? + field(15)?,
            threads: field(20)?,
            start_ticks: field(22)?,
            virtual_bytes: field(23)?,
        })
    }

    /// When the process was started, Unix seconds.
    fn started(&self) -> Option<f64> {
        boot_time().map(|booted| booted as f64 + self.start_ticks as f64 / TICKS_PER_SECOND)
    }

    fn cpu_seconds(&self) -> f64 {
        self.cpu_ticks as f64 / TICKS_PER_SECOND
    }
}

fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    line_value(&status, "VmRSS:").map(|kib| kib * 1024)
}

/// When the machine was started, Unix seconds.
fn boot_time() -> Option<u64> {
    line_value(&fs::read_to_string("/proc/stat").ok()?, "btime")
}

/// The first number of the line that begins with a word.
fn line_value(text: &str, word: &str) -> Option<u64> {
    let mut lines = text.lines().map(str::split_whitespace);
    lines.find_map(|mut line| (line.next()? == word).then(|| line.next()?.parse().ok())?)
}

static STARTED: OnceLock<Option<f64>> = OnceLock::new();

/// The unit of times in `/proc`: Linux keeps it at this for programs, whatever the kernel counts in.
const TICKS_PER_SECOND: f64 = 100.0;

const CPU: &str = "CPU time that the process has used, in seconds.";
const VIRTUAL: &str = "Virtual memory of the process: the store's file is mapped with room to grow, which takes none.";
const RESIDENT: &str = "Resident memory of the process, the pages of the store that are in memory included.";
const THREADS: &str = "Threads of the process.";
const START: &str = "When the process was started, in Unix seconds.";
const OPEN: &str = "File descriptors that are open: one for each connection, and a few.";
const MAX_OPEN: &str = "File descriptors that may be open.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_with_blanks_and_parentheses_moves_no_field() {
        let text =
            "7 (a) b (c) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 9 0 12345 1000000 77 18446744073709551615";
        let stat = Stat::parse(text).expect("a line of stat");
        let expected = Stat {
            cpu_ticks: 300,
            threads: 9,
            start_ticks: 12_345,
            virtual_bytes: 1_000_000,
        };
        assert_eq!(stat, expected);
        assert_eq!(stat.cpu_seconds(), 3.0);
        assert_eq!(Stat::parse("7 (a) S 1"), None);
    }

    #[test]
    fn values_are_found_by_the_first_word_of_their_line() {
        let text = "VmRSSX: 1 kB\nVmRSS:\t  52 kB\nbtime 5\n";
        assert_eq!(line_value(text, "VmRSS:"), Some(52));
        assert_eq!(line_value(text, "btime"), Some(5));
        assert_eq!(line_value(text, "none"), None);
    }
}
