//! Goes through the channels of held records and says what no durable session needs any more. Cuts nothing itself.

use std::sync::Arc;

use super::index::View;
use super::options::Holds;
use super::reader::Shared;
use super::trim::Cut;
use crate::store::{ChannelKind, StoreError};
use crate::types::{Position, Sequence};

/// Walks over all channels of held records, and what it learned on earlier walks.
pub(crate) struct Release {
    holds: Arc<dyn Holds>,
    /// What is known of each channel, in the order in which the directory lists those of held records.
    known: Vec<Known>,
    /// The channel to look at next, if a walk is under way.
    next: Option<usize>,
}

/// Spares a channel that is blocked from being looked at more closely.
#[derive(Clone, Copy, Default)]
struct Known {
    /// What was answered last, as far as there were records then: for later ones it must be asked again.
    passed: Position,
    /// No record before this one is kept.
    first: Position,
}

/// A channel that may have something to cut.
struct Due {
    at: usize,
    view: View,
    passed: Position,
}

impl Release {
    pub(crate) fn new(holds: Arc<dyn Holds>) -> Self {
        Self {
            holds,
            known: Vec::new(),
            next: None,
        }
    }

    /// Begins a walk, also if one is under way.
    pub(crate) fn begin(&mut self) {
        self.next = Some(0);
    }

    /// Whether a walk is under way.
    pub(crate) fn is_walking(&self) -> bool {
        self.next.is_some()
    }

    /// Gives the walk up. What it wanted to cut is still there.
    pub(crate) fn give_up(&mut self) {
        self.next = None;
        for known in &mut self.known {
            known.first = Position(0);
        }
    }

    /// Looks at the next channels and adds to `cuts` until `budget` records are to go.
    pub(crate) fn step(
        &mut self,
        shared: &Shared,
        cuts: &mut Vec<(Cut, View)>,
        mut budget: u64,
    ) -> Result<(), StoreError> {
        let Some(start) = self.next else { return Ok(()) };
        let (due, end) = self.collect(shared, start, budget);
        self.next = end;
        if due.is_empty() {
            return Ok(());
        }
        shared.store.read(&mut |snapshot| {
            for Due { at, view, passed } in &due {
                let known = &mut self.known[*at];
                let end = view.first_after(snapshot, *passed)?;
                if end == view.first_kept {
                    known.first = view.position(snapshot, end)?.unwrap_or_default();
                    continue;
                }
                let through = Sequence((end.0 - 1).min(view.first_kept.0 + budget - 1));
                budget -= through.0 + 1 - view.first_kept.0;
                let channel = view.id;
                cuts.push((Cut { channel, through }, view.clone()));
                if through.next() == end {
                    known.first = passed.next();
                }
                if budget == 0 {
                    // There may be more to cut of this one.
                    self.next = Some(*at);
                    break;
                }
            }
            Ok(())
        })
    }

    /// Asks about the next channels: those that may have something to cut, and where to go on.
    fn collect(&mut self, shared: &Shared, start: usize, most: u64) -> (Vec<Due>, Option<usize>) {
        let directory = shared.directory();
        let watermark = shared.watermark();
        let held = directory.held();
        self.known.resize(held.len(), Known::default());
        let mut due = Vec::new();
        let end = held.len().min(start + CHANNELS_PER_STEP);
        for (at, id) in held.iter().enumerate().take(end).skip(start) {
            let Some(channel) = directory.channel(*id).filter(|channel| channel.count() > 0) else {
                continue;
            };
            let known = &mut self.known[at];
            if let Some(passed) = self.holds.passed(*id, &channel.topic, ChannelKind::Held) {
                known.passed = passed.min(watermark);
            }
            if known.passed >= known.first {
                due.push(Due {
                    at,
                    view: View::new(*id, channel),
                    passed: known.passed,
                });
            }
            if due.len() as u64 == most {
                return (due, Some(at + 1));
            }
        }
        (due, (end < held.len()).then_some(end))
    }
}

const CHANNELS_PER_STEP: usize = 4_096;
