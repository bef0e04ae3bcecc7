//! Runs the steps of a case in a world.

use std::collections::BTreeMap;

use super::client::{Client, Read};
use super::decode::Received;
use super::encode;
use super::matching;
use super::script::{Action, Case, Step, Version};
use super::text::{self, Arg, Variables};
use super::world::World;

/// Why a case failed.
#[derive(Clone, Debug)]
pub struct Failure {
    pub line: usize,
    pub expected: String,
    pub came: String,
}

/// What a case leaves in a broker that others use as well.
#[derive(Clone, Debug, Default)]
pub struct Leftovers {
    pub client_ids: Vec<String>,
    pub retained: Vec<String>,
}

/// Runs a case; what it left behind is told whatever became of it.
pub async fn run<W: World>(world: &mut W, case: &Case, version: Version) -> (Result<(), Failure>, Leftovers) {
    let mut run = Run {
        variables: Variables::from([("T".to_owned(), world.word().to_owned())]),
        world,
        version,
        clients: BTreeMap::new(),
        next_id: 10_000,
        leftovers: Leftovers::default(),
    };
    let outcome = run.steps(case).await;
    (outcome, run.leftovers)
}

struct Run<'a, W: World> {
    world: &'a mut W,
    version: Version,
    variables: Variables,
    clients: BTreeMap<String, Client<W::Stream>>,
    next_id: u16,
    leftovers: Leftovers,
}

impl<W: World> Run<'_, W> {
    async fn steps(&mut self, case: &Case) -> Result<(), Failure> {
        for step in &case.steps {
            if step.only.is_some_and(|only| only != self.version) {
                continue;
            }
            self.step(step).await.map_err(|came| Failure {
                line: step.line,
                expected: step.text.clone(),
                came,
            })?;
        }
        self.finish().await.map_err(|came| Failure {
            line: case.steps.last().map_or(0, |step| step.line),
            expected: "nothing more".to_owned(),
            came,
        })
    }

    async fn step(&mut self, step: &Step) -> Result<(), String> {
        match &step.action {
            Action::Pass(duration) => {
                self.world.settle().await;
                self.world.pass(*duration).await;
                Ok(())
            }
            Action::Hold => self.world.hold(true),
            Action::Commit => self.world.hold(false),
            Action::Send { client, args } => {
                let args = text::resolve(args, self.version, &self.variables)?;
                self.send(client, args).await
            }
            Action::Expect { client, args, anywhere } => {
                let args = text::resolve(args, self.version, &self.variables)?;
                self.expect(client, &args, *anywhere).await.map(|_| ())
            }
            Action::Macro { name, client, args } => {
                let args = text::resolve(args, self.version, &self.variables)?;
                self.expand(name, client, args).await
            }
        }
    }

    async fn expand(&mut self, name: &str, client: &str, args: Vec<Arg>) -> Result<(), String> {
        match name {
            "join" => {
                self.send(client, headed("CONNECT", args)).await?;
                self.expect(client, &[Arg::flag("CONNACK")], false).await.map(|_| ())
            }
            "sub" | "unsub" => self.subscribe(name == "sub", client, args).await,
            "pub" => self.publish(client, args).await,
            "take" => self.take(client, args).await,
            "leave" => {
                self.send(client, vec![Arg::flag("DISCONNECT")]).await?;
                self.expect(client, &[Arg::flag("closed")], false).await.map(|_| ())
            }
            _ => {
                self.client(client)?.close();
                Ok(())
            }
        }
    }

    async fn subscribe(&mut self, subscribes: bool, client: &str, args: Vec<Arg>) -> Result<(), String> {
        let (packet, ack) = if subscribes {
            ("SUBSCRIBE", "SUBACK")
        } else {
            ("UNSUBSCRIBE", "UNSUBACK")
        };
        let mut args = args.into_iter();
        let filter = args.next().ok_or("no filter")?;
        let id = self.new_id();
        let mut request = vec![Arg::flag(packet), id.clone(), Arg::new("filter", filter.name)];
        request.extend(args);
        self.send(client, request).await?;
        let codes = Arg::new("codes", "0..0x11");
        self.expect(client, &[Arg::flag(ack), id, codes], true)
            .await
            .map(|_| ())
    }

    async fn publish(&mut self, client: &str, args: Vec<Arg>) -> Result<(), String> {
        let mut args = args.into_iter();
        let topic = args.next().ok_or("no topic")?;
        let mut request = vec![Arg::flag("PUBLISH"), Arg::new("topic", topic.name)];
        request.extend(args);
        let qos = request
            .iter()
            .find(|arg| arg.name == "qos")
            .map_or(Ok(0), Arg::number)?;
        let retained = request.iter().any(|arg| arg.name == "retain" && arg.value() != "0");
        let id = self.new_id();
        if qos > 0 {
            request.push(id.clone());
        }
        self.send(client, request).await?;
        if qos == 0 {
            return self.publish_behind(client, id, retained).await;
        }
        let exchange: &[&str] = match qos {
            1 => &["PUBACK"],
            _ => &["PUBREC", "PUBCOMP"],
        };
        for answer in exchange {
            self.expect(client, &[Arg::flag(answer), id.clone()], true).await?;
            if *answer == "PUBREC" {
                self.send(client, vec![Arg::flag("PUBREL"), id.clone()]).await?;
            }
        }
        Ok(())
    }

    /// Nothing answers a PUBLISH of QoS 0; a round trip behind it shows that the broker has it. One that the broker keeps
    /// may take longer, but not longer than a message behind it from the same client [MQTT-4.6.0-5].
    async fn publish_behind(&mut self, client: &str, id: Arg, retained: bool) -> Result<(), String> {
        if !retained {
            let client = self.clients.get_mut(client).ok_or("the client is not connected")?;
            return client.ping(&*self.world).await;
        }
        let topic = Arg::new("topic", format!("behind/{}", self.world.word()));
        let request = vec![Arg::flag("PUBLISH"), topic, Arg::new("qos", "1"), id.clone()];
        self.send(client, request).await?;
        self.expect(client, &[Arg::flag("PUBACK"), id], true).await.map(|_| ())
    }

    async fn take(&mut self, client: &str, args: Vec<Arg>) -> Result<(), String> {
        let received = self.expect(client, &headed("PUBLISH", args), false).await?;
        let Some(id) = received.as_ref().and_then(|received| received.number("id")) else {
            return Ok(());
        };
        let id = Arg::new("id", id.to_string());
        if received.and_then(|received| received.number("qos")) == Some(1) {
            return self.send(client, vec![Arg::flag("PUBACK"), id]).await;
        }
        self.send(client, vec![Arg::flag("PUBREC"), id.clone()]).await?;
        self.expect(client, &[Arg::flag("PUBREL"), id.clone()], true).await?;
        self.send(client, vec![Arg::flag("PUBCOMP"), id]).await
    }

    async fn send(&mut self, name: &str, mut args: Vec<Arg>) -> Result<(), String> {
        let mut version = self.client_version(name);
        if let Some(index) = args.iter().position(|arg| arg.name == "version") {
            let chosen = args.remove(index);
            version = if chosen.value() == "3" {
                Version::V3
            } else {
                Version::V5
            };
        }
        let packet = args.first().ok_or("nothing to send")?.name.clone();
        if packet == "abandon" {
            self.client(name)?.abandoned = true;
            return Ok(());
        }
        if !self.clients.get(name).is_some_and(Client::is_open) {
            let stream = self
                .world
                .open()
                .await
                .map_err(|fault| format!("no connection: {fault}"))?;
            self.clients.insert(name.to_owned(), Client::new(stream, version));
        }
        let bytes = match packet.as_str() {
            "open" => return Ok(()),
            "bytes" => raw(&args[1..])?,
            _ => {
                if packet == "CONNECT" && !args.iter().any(|arg| arg.name == "client_id") {
                    args.push(Arg::new("client_id", format!("{}{name}", self.world.word())));
                }
                self.note_leftovers(&packet, &args);
                encode::packet(version, &packet, &args[1..])?
            }
        };
        let client = self.clients.get_mut(name).ok_or("the client is not connected")?;
        if let Some(largest) = args
            .iter()
            .find(|arg| packet == "CONNECT" && arg.name == "maximum_packet_size")
        {
            // 0 is not a size: the refusal may be of any.
            client.maximum_packet_size = match largest.number()? {
                0 => usize::MAX,
                size => size as usize,
            };
        }
        client.send(&*self.world, &bytes).await
    }

    fn client_version(&self, name: &str) -> Version {
        self.clients
            .get(name)
            .filter(|client| client.is_open())
            .map_or(self.version, |client| client.version)
    }

    fn note_leftovers(&mut self, packet: &str, args: &[Arg]) {
        let value = |name: &str| args.iter().find(|arg| arg.name == name).map(Arg::value);
        let lasts = value("clean") == Some("0") || value("session_expiry").is_some();
        if packet == "CONNECT" && lasts {
            self.leftovers.client_ids.extend(value("client_id").map(str::to_owned));
        }
        if value("retain") == Some("1") && packet == "PUBLISH" {
            self.leftovers.retained.extend(value("topic").map(str::to_owned));
        }
        if value("will_retain") == Some("1") {
            self.leftovers.retained.extend(value("will_topic").map(str::to_owned));
        }
    }

    fn client(&mut self, name: &str) -> Result<&mut Client<W::Stream>, String> {
        let client = self.clients.get_mut(name);
        client.ok_or_else(|| format!("{name} has not connected"))
    }

    /// The packet that was expected, if it is one.
    async fn expect(&mut self, name: &str, args: &[Arg], anywhere: bool) -> Result<Option<Received>, String> {
        match args.first().map(|arg| arg.name.as_str()) {
            Some("nothing") => self.expect_nothing(name).await.map(|()| None),
            Some("closed") => self.expect_end(name, None).await.map(|()| None),
            Some("ends") => self.expect_end(name, Some(&args[1..])).await.map(|()| None),
            _ => self.expect_packet(name, args, anywhere).await.map(Some),
        }
    }

    async fn expect_packet(&mut self, name: &str, args: &[Arg], anywhere: bool) -> Result<Received, String> {
        let client = self.clients.get_mut(name).ok_or("the client has not connected")?;
        let mut index = 0;
        loop {
            while index < client.queue.len() {
                let received = &client.queue[index];
                match matching::check(client.version, args, received, &mut self.variables) {
                    Ok(()) => return client.queue.remove(index).ok_or_else(String::new),
                    Err(why) if !anywhere => return Err(format!("{why}: {received}")),
                    Err(_) => index += 1,
                }
            }
            match client.read(&*self.world).await? {
                Read::Packet => {}
                Read::End => return Err(format!("the connection ended{}", also(&client.queue))),
                Read::Nothing => return Err(format!("nothing{}", also(&client.queue))),
            }
        }
    }

    /// The broker closes; `codes` is what it may say before.
    async fn expect_end(&mut self, name: &str, codes: Option<&[Arg]>) -> Result<(), String> {
        let client = self.clients.get_mut(name).ok_or("the client has not connected")?;
        loop {
            match client.read(&*self.world).await? {
                Read::Packet => {}
                Read::End => break,
                Read::Nothing => return Err(format!("the connection stays{}", also(&client.queue))),
            }
        }
        let queue: Vec<Received> = client.queue.drain(..).collect();
        let allowed = match (&queue[..], codes) {
            ([], _) => true,
            ([last], Some(codes)) if matches!(last.name, "DISCONNECT" | "CONNACK") => {
                let code = last.number("code").unwrap_or(0);
                let listed = codes.iter().any(|arg| text::number(&arg.name) == Some(code));
                if codes.is_empty() { code > 0 } else { listed }
            }
            _ => false,
        };
        match allowed {
            true => Ok(()),
            false => Err(format!("before the end{}", also(queue.iter()))),
        }
    }

    async fn expect_nothing(&mut self, name: &str) -> Result<(), String> {
        self.fence(Some(name)).await?;
        let client = self.client(name)?;
        if client.ended {
            return Err(format!("the connection ended{}", also(&client.queue)));
        }
        match client.queue.front() {
            Some(received) => Err(received.to_string()),
            None => Ok(()),
        }
    }

    /// Every client goes round twice, `last` at the end: whatever was on its way between them has come.
    async fn fence(&mut self, last: Option<&str>) -> Result<(), String> {
        self.world.settle().await;
        for _ in 0..2 {
            for (name, client) in &mut self.clients {
                if Some(name.as_str()) != last {
                    client.ping(&*self.world).await?;
                }
            }
        }
        if let Some(client) = last.and_then(|last| self.clients.get_mut(last)) {
            client.ping(&*self.world).await?;
            client.ping(&*self.world).await?;
        }
        Ok(())
    }

    /// Nothing came that no step asked for.
    async fn finish(&mut self) -> Result<(), String> {
        self.clients.retain(|_, client| !client.abandoned);
        let open: Vec<String> = self
            .clients
            .iter()
            .filter(|(_, client)| client.connected)
            .map(|(name, _)| name.clone())
            .collect();
        self.fence(None).await?;
        for (name, client) in &self.clients {
            if open.contains(name) && client.ended {
                return Err(format!("the connection of {name} ended{}", also(&client.queue)));
            }
            if !client.queue.is_empty() {
                return Err(format!("{name} got{}", also(&client.queue)));
            }
        }
        Ok(())
    }

    fn new_id(&mut self) -> Arg {
        self.next_id += 1;
        Arg::new("id", self.next_id.to_string())
    }
}

fn headed(packet: &str, args: Vec<Arg>) -> Vec<Arg> {
    let mut all = vec![Arg::flag(packet)];
    all.extend(args);
    all
}

fn raw(args: &[Arg]) -> Result<Vec<u8>, String> {
    let digits: String = args.iter().map(|arg| arg.name.as_str()).collect();
    text::hex(&digits)
}

fn also<'a>(queue: impl IntoIterator<Item = &'a Received>) -> String {
    let texts: Vec<String> = queue.into_iter().map(|received| format!(" [{received}]")).collect();
    match texts.is_empty() {
        true => String::new(),
        false => format!(":{}", texts.concat()),
    }
}
