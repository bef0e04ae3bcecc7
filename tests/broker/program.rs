//! The broker as a program of its own on a data folder, so that it can be killed.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;

use super::client::DEADLINE;

/// A running program; it is killed when dropped.
pub struct Program {
    pub address: SocketAddr,
    child: Child,
}

impl Program {
    /// Starts it on the folder and waits until it listens. What matches `store` is stored.
    pub fn start(data: &Path, store: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_rewindmq"))
            .args(["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--store", store])
            .arg("--data")
            .arg(data)
            .env("REWINDMQ__LOG__LEVEL", "info")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let log = BufReader::new(child.stderr.take().expect("a pipe"));
        let (found, address) = mpsc::channel();
        thread::spawn(move || {
            // The log is read to its end, so that the program never waits for the pipe.
            for line in log.lines().map_while(Result::ok) {
                if let Some(address) = listening(&line) {
                    // An error means that the test has given up.
                    let _ = found.send(address);
                }
            }
        });
        let address = address.recv_timeout(DEADLINE).expect("the program listens");
        Self { address, child }
    }

    /// SIGKILL; returns when it is gone.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.child.kill().expect("the program can be killed");
        self.child.wait().expect("the program is gone");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.end();
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
