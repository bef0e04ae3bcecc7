//! The place of a durable session that the store does not take.

use std::time::Instant;

use rewindmq::store::Fault;

use super::client::{Post, lasting, post, v5};
use super::server::{Broker, config, failing_store};

const ERRORS: &str = "rewindmq_store_errors_total{reason=\"full\"}";

#[test]
fn place_that_is_not_taken_is_tried_again_with_a_flush_and_its_message_waits() {
    let store = failing_store();
    let broker = Broker::start_on(config(), store.clone());
    let mut client = broker.connect(lasting("client"));
    client.subscribe("t/#", 2, &[]);
    let mut publisher = broker.connect(v5("publisher"));
    // The first write is the message's.
    let started = Instant::now();
    store.fail_from(2, Fault::Full);
    publisher.publish(&Post {
        qos: 2,
        ..post("t/a", "1")
    });
    broker.await_metric(ERRORS, |errors| errors >= 2.0);
    (0..100).for_each(|_| client.ping());
    client.assert_quiet();
    let errors = broker.metric(ERRORS);
    // A flush is due every 200 ms.
    let most = 3.0 + started.elapsed().as_secs_f64() / 0.1;
    assert!(errors < most, "{errors} writes were tried");
    store.fail_from(1 << 40, Fault::Full);
    assert_eq!(client.take_texts(1), ["1"]);
}
