//! Messages as JSON, and publishing one.

use axum::extract::State;
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::admin::answer::{Answer, Json, Problem};
use crate::admin::query::{JsonBody, Query};
use crate::admin::site::Site;
use crate::broker::manage::ToPublish;
use crate::codec::{PropertyId, PropertyValue, encode_property, properties};
use crate::topic::check_topic_name;
use crate::types::QoS;

/// A name and a value; names may repeat.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct UserProperty {
    pub name: String,
    pub value: String,
}

/// What a message carries, as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(in crate::admin) struct MessageView {
    /// The payload, if it is UTF-8.
    pub payload: Option<String>,
    /// The payload, if it is not.
    pub payload_base64: Option<String>,
    pub content_type: Option<String>,
    pub response_topic: Option<String>,
    pub correlation_data_base64: Option<String>,
    pub user_properties: Vec<UserProperty>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct Publish {
    topic: String,
    payload: Option<String>,
    payload_base64: Option<String>,
    #[serde(default)]
    qos: u8,
    #[serde(default)]
    retain: bool,
    #[serde(default)]
    store: bool,
    expiry_seconds: Option<u32>,
    content_type: Option<String>,
    response_topic: Option<String>,
    correlation_data_base64: Option<String>,
    #[serde(default)]
    user_properties: Vec<UserProperty>,
}

pub(super) async fn publish(State(site): State<Site>, query: Query, JsonBody(body): JsonBody<Publish>) -> Answer {
    query.only(&[])?;
    let qos = qos_of(body.qos, 2)?;
    let properties = body.properties()?;
    let payload = match (body.payload, body.payload_base64) {
        (Some(_), Some(_)) => {
            return Err(Problem::invalid(
                "payload and payload_base64 both give a payload; give one",
            ));
        }
        (text, None) => text.unwrap_or_default().into_bytes(),
        (None, Some(text)) => base64("payload_base64", &text)?,
    };
    let most = site.broker.config().session.max_packet_size as usize;
    if payload.len() + properties.len() + body.topic.len() > most {
        return Err(Problem::too_large(format!(
            "topic, properties and payload together have more than {most} bytes (session.max_packet_size)"
        )));
    }
    let what = ToPublish {
        topic: body.topic,
        payload,
        qos,
        retain: body.retain,
        store: body.store,
        expiry_secs: body.expiry_seconds,
        properties,
    };
    let published = site.broker.publish_message(what).await?;
    Ok(Json::with_status(StatusCode::CREATED, &published))
}

impl Publish {
    /// The properties as on the wire.
    fn properties(&self) -> Result<Vec<u8>, Problem> {
        let mut out = Vec::new();
        let mut put = |name: &str, id, value: PropertyValue<'_>| {
            encode_property(id, value, &mut out).map_err(|fault| Problem::invalid(format!("{name}: {fault}")))
        };
        if let Some(text) = &self.content_type {
            put(
                "content_type",
                PropertyId::ContentType,
                text_value("content_type", text)?,
            )?;
        }
        if let Some(topic) = &self.response_topic {
            check_topic_name(topic).map_err(|fault| Problem::invalid(format!("response_topic: {fault}")))?;
            put("response_topic", PropertyId::ResponseTopic, PropertyValue::Text(topic))?;
        }
        if let Some(text) = &self.correlation_data_base64 {
            let bytes = base64("correlation_data_base64", text)?;
            put(
                "correlation_data_base64",
                PropertyId::CorrelationData,
                PropertyValue::Binary(&bytes),
            )?;
        }
        for UserProperty { name, value } in &self.user_properties {
            text_value("user_properties", name)?;
            text_value("user_properties", value)?;
            put(
                "user_properties",
                PropertyId::UserProperty,
                PropertyValue::Pair(name, value),
            )?;
        }
        Ok(out)
    }
}

/// No string of MQTT holds U+0000 [MQTT-1.5.4-2].
fn text_value<'a>(name: &str, text: &'a str) -> Result<PropertyValue<'a>, Problem> {
    if text.contains('\0') {
        return Err(Problem::invalid(format!(
            "{name}: the character U+0000 cannot be sent over MQTT"
        )));
    }
    Ok(PropertyValue::Text(text))
}

/// A QoS of at most `most`.
pub(in crate::admin) fn qos_of(bits: u8, most: u8) -> Result<QoS, Problem> {
    let qos = QoS::from_bits(bits).filter(|_| bits <= most);
    qos.ok_or_else(|| Problem::invalid(format!("qos: expected a number from 0 to {most}, found {bits}")))
}

fn base64(name: &str, text: &str) -> Result<Vec<u8>, Problem> {
    STANDARD
        .decode(text)
        .map_err(|fault| Problem::invalid(format!("{name}: not base64 with padding: {fault}")))
}

/// What a message carries, from its properties as on the wire and its payload.
pub(in crate::admin) fn body_of(raw: &[u8], payload: &[u8]) -> MessageView {
    let mut view = MessageView::default();
    match std::str::from_utf8(payload) {
        Ok(text) => view.payload = Some(text.to_owned()),
        Err(_) => view.payload_base64 = Some(STANDARD.encode(payload)),
    }
    for (id, value) in properties(raw) {
        match (id, value) {
            (PropertyId::ContentType, PropertyValue::Text(text)) => view.content_type = Some(text.to_owned()),
            (PropertyId::ResponseTopic, PropertyValue::Text(text)) => view.response_topic = Some(text.to_owned()),
            (PropertyId::CorrelationData, PropertyValue::Binary(bytes)) => {
                view.correlation_data_base64 = Some(STANDARD.encode(bytes));
            }
            (PropertyId::UserProperty, PropertyValue::Pair(name, value)) => view.user_properties.push(UserProperty {
                name: name.to_owned(),
                value: value.to_owned(),
            }),
            _ => {}
        }
    }
    view
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_reads_back() {
        let text = r#"{"topic": "t", "content_type": "text/plain", "response_topic": "r", "correlation_data_base64": "AP8=",
            "user_properties": [{"name": "a", "value": "1"}, {"name": "a", "value": "2"}]}"#;
        let publish: Publish = serde_json::from_str(text).expect("good");
        let raw = publish.properties().unwrap_or_default();
        let view = body_of(&raw, b"\xff");
        assert_eq!(view.content_type.as_deref(), Some("text/plain"));
        assert_eq!(view.response_topic.as_deref(), Some("r"));
        assert_eq!(view.correlation_data_base64.as_deref(), Some("AP8="));
        assert_eq!(view.payload_base64.as_deref(), Some("/w=="));
        assert_eq!(view.user_properties.len(), 2);
    }

    #[test]
    fn what_mqtt_cannot_carry_is_refused() {
        for text in [
            r#"{"topic": "t", "content_type": "a\u0000"}"#,
            r#"{"topic": "t", "response_topic": "a/+"}"#,
            r#"{"topic": "t", "correlation_data_base64": "?"}"#,
            r#"{"topic": "t", "user_properties": [{"name": "a\u0000", "value": ""}]}"#,
        ] {
            let publish: Publish = serde_json::from_str(text).expect("JSON");
            assert!(publish.properties().is_err(), "{text}");
        }
    }
}
