//! The terminal as a screen: one picture at a time, and the keys that end it. As it was before when it is dropped.

use std::io::{self, Write, stdout};
use std::time::{Duration, Instant};

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::style::Print;
use crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode, size,
};
use crossterm::{execute, queue};

/// A terminal that shows pictures.
#[derive(Debug)]
pub(super) struct Screen(());

/// How much a terminal shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub columns: usize,
    pub rows: usize,
}

/// What the user wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// No more.
    Quit,
    /// The same in another size.
    Redraw,
    /// Nothing in the time.
    None,
}

impl Screen {
    /// Takes the terminal over.
    pub fn open() -> io::Result<Self> {
        enable_raw_mode()?;
        let screen = Self(());
        execute!(stdout(), EnterAlternateScreen, Hide)?;
        Ok(screen)
    }

    /// How much it shows now.
    pub fn size(&self) -> Size {
        let (columns, rows) = size().unwrap_or((80, 24));
        Size {
            columns: usize::from(columns),
            rows: usize::from(rows),
        }
    }

    /// Shows a text in the place of what was there, without a moment of darkness.
    pub fn draw(&mut self, text: &str) -> io::Result<()> {
        let mut out = stdout().lock();
        let rows = self.size().rows;
        for (row, line) in text.lines().take(rows.saturating_sub(1)).enumerate() {
            let row = u16::try_from(row).unwrap_or(u16::MAX);
            queue!(out, MoveTo(0, row), Print(line), Clear(ClearType::UntilNewLine))?;
        }
        queue!(out, Print("\r\n"), Clear(ClearType::FromCursorDown), Print("q: quit"))?;
        out.flush()
    }

    /// Waits for the user.
    pub fn wait(&mut self, time: Duration) -> io::Result<Key> {
        let until = Instant::now() + time;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if !event::poll(left)? {
                return Ok(Key::None);
            }
            match event::read()? {
                Event::Key(key) if quits(key) => return Ok(Key::Quit),
                Event::Resize(..) => return Ok(Key::Redraw),
                _ => {}
            }
        }
    }
}

fn quits(key: KeyEvent) -> bool {
    let control_c = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    let quit = matches!(key.code, KeyCode::Char('q' | 'Q') | KeyCode::Esc);
    key.kind != KeyEventKind::Release && (control_c || quit)
}

impl Drop for Screen {
    fn drop(&mut self) {
        // There is nobody to tell if the terminal is gone.
        let _ = execute!(stdout(), Show, LeaveAlternateScreen);
        let _ = disable_raw_mode();
    }
}
