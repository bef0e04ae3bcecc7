//! CPU time and memory of the broker and of this process, as /proc tells them. Knows no scenario.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::BenchError;

/// What a measured stretch of time cost.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Wall time.
    pub elapsed: Duration,
    /// The broker's CPU time.
    pub broker: CpuTime,
    /// This process's CPU time.
    pub client: CpuTime,
    /// The most memory that the broker had resident, bytes; pages of mapped files count.
    pub peak_rss_bytes: u64,
    /// The same without mapped files, as sampled.
    pub peak_anonymous_bytes: u64,
    /// What the broker had without mapped files when it began, bytes.
    pub anonymous_before_bytes: u64,
    /// And when it ended.
    pub anonymous_after_bytes: u64,
}

impl Usage {
    /// The same without a wait at its end that brought nothing.
    pub fn without(self, wait: Duration) -> Self {
        Self {
            elapsed: self.elapsed.saturating_sub(wait),
            ..self
        }
    }
}

/// CPU time of a process by where it was spent.
#[derive(Clone, Copy, Debug)]
pub struct CpuTime {
    /// In the program.
    pub user: Duration,
    /// In the kernel, for it.
    pub system: Duration,
}

/// Runs a scenario to its end and says what it cost.
///
/// # Errors
/// If it fails, takes longer than `limit`, or the broker's process cannot be read.
pub async fn measure<T>(
    pid: u32,
    limit: Duration,
    scenario: impl Future<Output = Result<T, BenchError>>,
) -> Result<(T, Usage), BenchError> {
    let process = pid.to_string();
    reset_peak(&process)?;
    let anonymous_before_bytes = status_bytes(&process, "RssAnon")?;
    let before = (CpuTime::of(&process)?, CpuTime::of("self")?);
    let start = Instant::now();
    let mut peak_anonymous_bytes = anonymous_before_bytes;
    let sample = async {
        let mut ticks = tokio::time::interval(SAMPLE_INTERVAL);
        loop {
            ticks.tick().await;
            peak_anonymous_bytes = peak_anonymous_bytes.max(status_bytes(&process, "RssAnon")?);
        }
    };
    let result = tokio::select! {
        result = tokio::time::timeout(limit, scenario) => result.map_err(|_| BenchError::Timeout(limit))?,
        error = sample => error,
    }?;
    let elapsed = start.elapsed();
    let anonymous_after_bytes = status_bytes(&process, "RssAnon")?;
    let usage = Usage {
        elapsed,
        broker: CpuTime::of(&process)?.since(before.0),
        client: CpuTime::of("self")?.since(before.1),
        peak_rss_bytes: status_bytes(&process, "VmHWM")?,
        peak_anonymous_bytes: peak_anonymous_bytes.max(anonymous_after_bytes),
        anonymous_before_bytes,
        anonymous_after_bytes,
    };
    Ok((result, usage))
}

/// What the broker has now without mapped files.
///
/// # Errors
/// If the broker's process cannot be read.
pub fn anonymous_bytes(pid: u32) -> Result<u64, BenchError> {
    status_bytes(&pid.to_string(), "RssAnon")
}

/// What the broker cost from its start on, which took this long.
///
/// # Errors
/// If the broker's process cannot be read.
pub fn since_start(pid: u32, elapsed: Duration) -> Result<Usage, BenchError> {
    let process = pid.to_string();
    let anonymous_bytes = status_bytes(&process, "RssAnon")?;
    Ok(Usage {
        elapsed,
        broker: CpuTime::of(&process)?,
        client: CpuTime::of("self")?,
        peak_rss_bytes: status_bytes(&process, "VmHWM")?,
        peak_anonymous_bytes: anonymous_bytes,
        anonymous_before_bytes: 0,
        anonymous_after_bytes: anonymous_bytes,
    })
}

/// The bytes that a folder's files take on disk; holes in them take none.
///
/// # Errors
/// If the folder cannot be read.
pub fn disk_bytes(folder: &Path) -> Result<u64, BenchError> {
    use std::os::unix::fs::MetadataExt;

    let fault = || BenchError::io(format!("cannot read {}", folder.display()));
    let mut bytes = 0;
    for file in fs::read_dir(folder).map_err(fault())? {
        let file = file.map_err(fault())?;
        let metadata = file.metadata().map_err(fault())?;
        bytes += if metadata.is_dir() {
            disk_bytes(&file.path())?
        } else {
            metadata.blocks() * BLOCK_BYTES
        };
    }
    Ok(bytes)
}

impl CpuTime {
    fn of(process: &str) -> Result<Self, BenchError> {
        let file = format!("/proc/{process}/stat");
        let text = fs::read_to_string(&file).map_err(BenchError::io(format!("cannot read {file}")))?;
        Self::parse(&text).ok_or_else(|| BenchError::Format {
            file,
            what: "no CPU times".to_owned(),
        })
    }

    /// Fields 14 and 15 of /proc/PID/stat. The second, the program's name, may hold blanks but ends at the last bracket.
    fn parse(stat: &str) -> Option<Self> {
        let (_, behind_name) = stat.rsplit_once(')')?;
        let mut times = behind_name.split_ascii_whitespace().skip(11).map(str::parse);
        Some(Self {
            user: TICK * times.next()?.ok()?,
            system: TICK * times.next()?.ok()?,
        })
    }

    fn since(self, before: Self) -> Self {
        Self {
            user: self.user.saturating_sub(before.user),
            system: self.system.saturating_sub(before.system),
        }
    }
}

/// Lets the kernel count the peak from here on (proc(5), clear_refs).
fn reset_peak(process: &str) -> Result<(), BenchError> {
    let file = format!("/proc/{process}/clear_refs");
    fs::write(&file, "5").map_err(BenchError::io(format!("cannot write {file}")))
}

/// A field of /proc/PID/status that is given in kB.
fn status_bytes(process: &str, field: &str) -> Result<u64, BenchError> {
    let file = format!("/proc/{process}/status");
    let text = fs::read_to_string(&file).map_err(BenchError::io(format!("cannot read {file}")))?;
    parse_status(&text, field).ok_or_else(|| BenchError::Format {
        file,
        what: format!("no {field}"),
    })
}

fn parse_status(status: &str, field: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// What /proc counts CPU time in: USER_HZ is 100 wherever Linux runs a broker.
const TICK: Duration = Duration::from_millis(10);
/// What `st_blocks` counts in (stat(2)).
const BLOCK_BYTES: u64 = 512;
const SAMPLE_INTERVAL: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_times_stand_behind_a_name_with_brackets() {
        let stat = "7 (a b) c) S 1 2 3 4 5 6 7 8 9 10 250 30 0 0 20 0";
        let time = CpuTime::parse(stat).expect("well-formed");
        assert_eq!(
            (time.user, time.system),
            (Duration::from_millis(2500), Duration::from_millis(300))
        );
    }

    #[test]
    fn status_fields_are_in_kilobytes() {
        let status = "VmPeak:\t  10 kB\nVmHWM:\t     512 kB\n";
        assert_eq!(parse_status(status, "VmHWM"), Some(512 * 1024));
        assert_eq!(parse_status(status, "VmH"), None);
    }

    #[test]
    fn this_process_can_be_read() {
        assert!(status_bytes("self", "RssAnon").expect("Linux") > 0);
        CpuTime::of("self").expect("Linux");
    }
}
