//! Gives the service manager a sign of life as long as the broker does its work, and only then.

use std::convert::Infallible;
use std::future::pending;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};

use super::supervisor::Supervisor;
use crate::admin::Vitals;

/// Tells a service manager that has a watchdog that the broker works, twice in the time that it waits.
pub(super) async fn watch(supervisor: &Supervisor, vitals: Vitals) -> Infallible {
    let Some(patience) = supervisor
        .watchdog()
        .map(|patience| patience / 2)
        .filter(|half| !half.is_zero())
    else {
        return pending().await;
    };
    let complain = async || {
        let found = vitals.examine(EXAMINATION.min(patience)).await;
        tracing::error!(
            store = found.store,
            workers = found.workers,
            listeners = found.listeners,
            "the broker does not do its work: the watchdog of the service manager is told nothing until it does"
        );
    };
    feed(patience, || vitals.answer(), complain, || supervisor.alive()).await
}

/// Calls `alive` at intervals, each time behind an answer. Whoever does not answer within an interval, or says no, is
/// complained of once.
async fn feed(
    every: Duration,
    answer: impl AsyncFn() -> Result<(), String>,
    complain: impl AsyncFn(),
    alive: impl AsyncFn(),
) -> Infallible {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut complained = false;
    loop {
        ticks.tick().await;
        let mut answered = pin!(answer());
        let answered = match timeout(every, &mut answered).await {
            Ok(answered) => answered,
            Err(_) => {
                complain().await;
                complained = true;
                answered.await
            }
        };
        if answered.is_ok() {
            alive().await;
            complained = false;
        } else if !complained {
            complain().await;
            complained = true;
        }
    }
}

/// How long the parts have to answer when it is asked which of them does not.
const EXAMINATION: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use tokio::sync::Semaphore;
    use tokio::time::sleep;

    use super::*;

    const EVERY: Duration = Duration::from_secs(15);

    /// What a scene saw: signs of life and complaints.
    #[derive(Default)]
    struct Seen {
        alive: Cell<u32>,
        complaints: Cell<u32>,
    }

    impl Seen {
        fn counts(&self) -> (u32, u32) {
            (self.alive.get(), self.complaints.get())
        }
    }

    async fn fed<T>(answer: impl AsyncFn() -> Result<(), String>, seen: &Seen, scene: impl Future<Output = T>) -> T {
        let complain = async || seen.complaints.set(seen.complaints.get() + 1);
        let alive = async || seen.alive.set(seen.alive.get() + 1);
        tokio::select! {
            result = scene => result,
            never = feed(EVERY, answer, complain, alive) => match never {},
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_answers_is_told_alive_at_each_interval() {
        let seen = Seen::default();
        fed(async || Ok(()), &seen, sleep(EVERY * 10 + EVERY / 2)).await;
        assert_eq!(seen.counts(), (11, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_told_while_an_answer_is_missing() {
        let seen = Seen::default();
        let gate = Semaphore::new(3);
        let answer = async || {
            gate.acquire().await.expect("open").forget();
            Ok(())
        };
        fed(answer, &seen, async {
            sleep(EVERY * 100).await;
            assert_eq!(seen.counts(), (3, 1));
            gate.add_permits(1_000);
            sleep(EVERY * 10).await;
            assert_eq!(seen.complaints.get(), 1);
            assert!(seen.alive.get() >= 12, "{:?}", seen.counts());
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_told_while_something_has_ended() {
        let seen = Seen::default();
        let says = RefCell::new(Err("not accepting".to_owned()));
        fed(async || says.borrow().clone(), &seen, async {
            // Between two intervals: what comes first at one of them is open.
            sleep(EVERY * 10 + EVERY / 2).await;
            assert_eq!(seen.counts(), (0, 1));
            *says.borrow_mut() = Ok(());
            sleep(EVERY).await;
            assert_eq!(seen.counts(), (1, 1));
        })
        .await;
    }
}
