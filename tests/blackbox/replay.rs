#![allow(clippy::print_stdout)]
//! Replays what is stored below `orders`; the port of the broker may be given as an argument.

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, SubscribeProperties};
use rumqttc::v5::{Client, Event, MqttOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().nth(1).map_or(Ok(1883), |port| port.parse())?;
    let (client, mut connection) = Client::new(MqttOptions::new("report-rs", "127.0.0.1", port), 10);
    let properties = SubscribeProperties {
        id: None,
        user_properties: vec![("replay".into(), "first".into())],
    };
    client.subscribe_with_properties("orders/#", QoS::AtLeastOnce, properties)?;
    for event in connection.iter() {
        if let Event::Incoming(Packet::Publish(message)) = event? {
            let told = message.properties.unwrap_or_default().user_properties;
            let sequence = told.iter().find(|(name, _)| name == "es-seq");
            let sequence = sequence.map_or("none", |(_, value)| value);
            let topic = String::from_utf8_lossy(&message.topic);
            let payload = String::from_utf8_lossy(&message.payload);
            println!("{topic} {payload} sequence {sequence}");
        }
    }
    Ok(())
}
