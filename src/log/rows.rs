//! The rows beside the log that commands change: of cursors, of durable sessions, of retained messages.

use super::{Command, Publish};
use crate::store::{
    Changes, Table, cursor_key, delete_retained, put_retained, received_key, session_key, subscription_key,
};
use crate::types::{PacketId, SessionId};

/// Adds what a command changes beside the log.
pub(crate) fn change(command: &Command, changes: &mut Changes) {
    match command {
        Command::SaveCursor(record) => {
            changes.put(Table::Cursors, &cursor_key(record.id), |out| record.encode(out));
        }
        Command::SaveCursorOrigin(id, origin) => {
            changes.put(Table::Origins, &cursor_key(*id), |out| origin.encode(out));
        }
        Command::DeleteCursor(id) => {
            changes.delete(Table::Cursors, &cursor_key(*id));
            changes.delete(Table::Origins, &cursor_key(*id));
        }
        Command::SaveSession(record) => {
            changes.put(Table::Sessions, &session_key(record.id), |out| record.encode(out));
        }
        Command::DeleteSession {
            id,
            subscriptions,
            received,
        } => delete_session(*id, subscriptions, received, changes),
        Command::SaveSubscription(record) => {
            let key = subscription_key(record.session, record.number);
            changes.put(Table::Subscriptions, &key, |out| record.encode(out));
        }
        Command::DeleteSubscription(session, number) => {
            changes.delete(Table::Subscriptions, &subscription_key(*session, *number));
        }
        Command::SavePlace(record) => {
            changes.put(Table::Places, &session_key(record.session), |out| record.encode(out));
        }
        Command::Release(session, packet_id) => {
            changes.delete(Table::Received, &received_key(*session, *packet_id));
        }
        Command::SaveWill(record) => {
            changes.put(Table::Wills, &session_key(record.session), |out| record.encode(out));
        }
        Command::DeleteWill(session) => changes.delete(Table::Wills, &session_key(*session)),
        Command::DeleteRetained(topic) => delete_retained(topic.as_bytes(), changes),
        Command::Publish(publish) => change_with(publish, changes),
        Command::Trim { .. } | Command::ApplyRetention | Command::Flush => {}
    }
}

/// Adds what a message changes beside the record that may be made of it.
fn change_with(publish: &Publish, changes: &mut Changes) {
    let message = &publish.message;
    if publish.retain && message.payload().is_empty() {
        delete_retained(message.topic_bytes(), changes);
    } else if publish.retain {
        put_retained(message, changes);
    }
    if let Some((session, packet_id)) = publish.received {
        changes.put(Table::Received, &received_key(session, packet_id), |_| {});
    }
    if let Some(session) = publish.will_of {
        changes.delete(Table::Wills, &session_key(session));
    }
}

/// Deletes every row of a session; of those it can have several of, the ones named.
fn delete_session(id: SessionId, subscriptions: &[u32], received: &[PacketId], changes: &mut Changes) {
    for table in [Table::Sessions, Table::Places, Table::Wills] {
        changes.delete(table, &session_key(id));
    }
    for number in subscriptions {
        changes.delete(Table::Subscriptions, &subscription_key(id, *number));
    }
    for packet_id in received {
        changes.delete(Table::Received, &received_key(id, *packet_id));
    }
}
