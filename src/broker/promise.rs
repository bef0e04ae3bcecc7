//! Something that one task waits for and another thread brings about.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

/// The side that brings it about; the first to do so counts.
#[derive(Clone, Debug)]
pub struct Promise<T = ()> {
    sender: Arc<Mutex<Option<oneshot::Sender<Outcome<T>>>>>,
}

/// How it went; the text is the fault.
pub type Outcome<T = ()> = Result<T, String>;

impl<T> Promise<T> {
    /// A promise and how to wait for it.
    pub fn new() -> (Self, oneshot::Receiver<Outcome<T>>) {
        let (sender, receiver) = oneshot::channel();
        let sender = Arc::new(Mutex::new(Some(sender)));
        (Self { sender }, receiver)
    }

    /// Keeps the promise.
    pub fn keep(&self, outcome: Outcome<T>) {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sender) = sender {
            // Nobody waits any more if the connection is gone.
            let _ = sender.send(outcome);
        }
    }
}
