//! The broker as a program of its own on a data folder, so that it can be killed.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;

use super::client::DEADLINE;

/// Lines of the log, warnings and worse, that are shown if the test fails.
const LOG_LINES: usize = 20;

/// A running program; it is killed when dropped.
pub struct Program {
    pub address: SocketAddr,
    process: Process,
}

/// A program that may not listen yet.
pub struct Process {
    child: Child,
    address: Receiver<SocketAddr>,
    log: Arc<Mutex<VecDeque<String>>>,
}

impl Program {
    /// Starts it on the folder and waits until it listens. What matches `store` is stored.
    pub fn start(data: &Path, store: &str) -> Self {
        Process::spawn(data, store, &[]).listening()
    }

    /// SIGKILL; returns when it is gone.
    pub fn kill(self) {
        self.process.kill();
    }
}

impl Process {
    /// Starts it and waits for nothing. `options` are variables of the environment.
    pub fn spawn(data: &Path, store: &str, options: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_rewindmq"))
            .args(["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--store", store])
            .arg("--data")
            .arg(data)
            .env("REWINDMQ__LOG__LEVEL", "info")
            .envs(options.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let lines = child.stderr.take().expect("a pipe");
        let (found, address) = mpsc::channel();
        let log = Arc::default();
        let copy = Arc::clone(&log);
        thread::spawn(move || read_log(lines, &found, &copy));
        Self { child, address, log }
    }

    /// Waits until it listens.
    pub fn listening(self) -> Program {
        let address = self.address.recv_timeout(DEADLINE).expect("the program listens");
        Program { address, process: self }
    }

    /// SIGKILL; returns when it is gone. It must not have ended by itself.
    pub fn kill(mut self) {
        let ended = self.child.try_wait().expect("the program can be asked");
        assert_eq!(ended, None, "the program ended by itself");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().expect("the program can be killed");
        self.child.wait().expect("the program is gone");
        if thread::panicking() {
            for line in self.log.lock().iter().flat_map(|lines| lines.iter()) {
                // The test has failed already; there is nobody to tell if this does too.
                let _ = writeln!(io::stderr(), "broker: {line}");
            }
        }
    }
}

/// Reads the log to its end, so that the program never waits for the pipe.
fn read_log(lines: ChildStderr, found: &Sender<SocketAddr>, log: &Mutex<VecDeque<String>>) {
    for line in BufReader::new(lines).lines().map_while(Result::ok) {
        if let Some(address) = listening(&line) {
            // An error means that the test has given up.
            let _ = found.send(address);
        }
        if line.contains(" INFO ") {
            continue;
        }
        let mut log = log.lock().expect("a lock that nobody breaks");
        log.push_back(line);
        if log.len() > LOG_LINES {
            log.pop_front();
        }
    }
}

/// The address in the log line that tells of the MQTT listener.
fn listening(line: &str) -> Option<SocketAddr> {
    if line.contains("http") || !line.contains("listening") {
        return None;
    }
    let (_, address) = line.split_once("address=")?;
    address.split_whitespace().next()?.parse().ok()
}
