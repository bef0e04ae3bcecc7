//! `rewindmq top`: a live picture of a running broker. Looks, draws, waits for a key.

mod look;
mod picture;
mod screen;

use std::io::{Write, stdout};
use std::time::{Duration, Instant};

use clap::Args;

use super::api::OpsError;
use super::shell::Shell;
use crate::config::check_duration;
use look::{Look, Pair};
use screen::{Key, Screen};

/// How a running broker is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Args)]
pub struct TopArgs {
    /// Look so often
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = interval)]
    pub interval: Duration,
    /// Print one picture, whose rates are those of one interval, and end
    #[arg(long)]
    pub once: bool,
}

impl TopArgs {
    /// Shows pictures until the user has seen enough; gives the last one if only one is wanted.
    pub(super) fn run(&self, shell: &Shell) -> Result<String, OpsError> {
        let first = Look::at(&shell.api)?;
        if self.once {
            std::thread::sleep(self.interval);
            let second = Look::at(&shell.api)?;
            return Ok(Pair::of(&first, &second).shown(shell, None));
        }
        if shell.width.is_some() && !shell.json {
            self.watch(shell, first)?;
            return Ok(String::new());
        }
        self.print(shell, first)
    }

    /// One picture after another, for programs and files.
    fn print(&self, shell: &Shell, mut before: Look) -> Result<String, OpsError> {
        loop {
            std::thread::sleep(self.interval);
            let now = Look::at(&shell.api)?;
            let text = Pair::of(&before, &now).shown(shell, None);
            let written = stdout().write_all(text.as_bytes()).and_then(|()| stdout().flush());
            if written.is_err() {
                // Nobody reads any more.
                return Ok(String::new());
            }
            before = now;
        }
    }

    /// One picture over the other.
    fn watch(&self, shell: &Shell, mut before: Look) -> Result<(), OpsError> {
        let mut screen = Screen::open().map_err(OpsError::Terminal)?;
        let mut now = before.clone();
        let mut fault = None;
        let mut due = Instant::now() + self.interval;
        loop {
            let mut text = Pair::of(&before, &now).shown(shell, Some(screen.size()));
            if let Some(fault) = &fault {
                text = format!("{fault}\n\n{text}");
            }
            screen.draw(&text).map_err(OpsError::Terminal)?;
            match screen.wait(due.saturating_duration_since(Instant::now())) {
                Ok(Key::Quit) => return Ok(()),
                Ok(Key::Redraw) => continue,
                Ok(Key::None) => {}
                Err(fault) => return Err(OpsError::Terminal(fault)),
            }
            due = Instant::now() + self.interval;
            match Look::at(&shell.api) {
                Ok(look) => {
                    before = std::mem::replace(&mut now, look);
                    fault = None;
                }
                // It may come back.
                Err(why) => fault = Some(why),
            }
        }
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = check_duration(text)?;
    if interval < SHORTEST {
        return Err("look every 100ms at most".to_owned());
    }
    Ok(interval)
}

/// More often would be work for the broker and nothing for the eye.
const SHORTEST: Duration = Duration::from_millis(100);
