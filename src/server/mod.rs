//! Wiring: store, broker, workers, listeners, signals, and the ordered stop.

mod files;
mod hygiene;
mod lags;
mod reload;
mod supervisor;
mod watchdog;
mod workers;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::acl::AclError;
use crate::admin::{self, ListenerState, LogControl, Site, TokenFileError, Tokens, Vitals};
use crate::auth::BackendsError;
use crate::broker::Broker;
use crate::config::{self, Config, Durability};
use crate::log::LogError;
use crate::metrics::{Metrics, MetricsPage};
use crate::net::{Certificates, ListenError, Listener, TlsFileError};
use crate::store::{LmdbOptions, LmdbStore, MemoryStore, Store, StoreError, Syncing};
use crate::types::Clock;
use lags::Lags;
use reload::Prepared;
pub use reload::{Reloading, load_acl};
use supervisor::Supervisor;
use workers::Workers;

/// Why the broker does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The data folder cannot be used.
    #[error("{source}")]
    Store {
        /// The data folder.
        path: PathBuf,
        /// What is wrong with it.
        source: StoreError,
    },
    /// The log cannot be read.
    #[error("the event store in {path} cannot be read: {source}")]
    Log {
        /// The data folder.
        path: PathBuf,
        /// What is wrong with it.
        source: LogError,
    },
    /// A file that `[auth]` names cannot be used.
    #[error(transparent)]
    Auth(#[from] BackendsError),
    /// The file of the API's tokens cannot be used.
    #[error(transparent)]
    Tokens(#[from] TokenFileError),
    /// The file that says who may do what cannot be used.
    #[error(transparent)]
    Acl(#[from] AclError),
    /// A file of a listener with TLS cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsFileError),
    /// An address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The operating system refuses something else.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
}

/// Runs a broker until SIGTERM or SIGINT; returns when everything is on disk. At SIGHUP the configuration is read again.
/// `log` is what the API changes the log level by.
pub fn run(config: Config, log: Option<LogControl>, reloading: &Reloading) -> Result<(), ServerError> {
    files::raise_limit();
    hygiene::warn_of_root();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(io("cannot start a runtime"))?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(io("cannot wait for SIGTERM"))?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(io("cannot wait for SIGINT"))?;
        let mut hang_up = signal(SignalKind::hangup()).map_err(io("cannot wait for SIGHUP"))?;
        let supervisor = Supervisor::from_environment();
        supervisor.starting(&config.store.path).await;
        let store = open_configured(&config)?;
        let server = Server::start_with(config, store, log).await?;
        let serving = server.serving();
        supervisor.ready(&serving).await;
        let mut watchdog = pin!(watchdog::watch(&supervisor, server.vitals.clone()));
        let name = loop {
            tokio::select! {
                _ = terminate.recv() => break "SIGTERM",
                _ = interrupt.recv() => break "SIGINT",
                _ = hang_up.recv() => {
                    supervisor.reloading().await;
                    let is_new = reloading.reload(&server);
                    supervisor.reloaded(is_new, &serving).await;
                }
                never = &mut watchdog => match never {},
            }
        };
        tracing::info!(signal = name, "stopping");
        supervisor.stopping().await;
        server.stop().await;
        tracing::info!("stopped");
        Ok(())
    })
}

/// A running broker with its sockets.
#[derive(Debug)]
pub struct Server {
    broker: Arc<Broker>,
    addresses: Vec<SocketAddr>,
    certificates: Vec<Arc<Certificates>>,
    http_address: Option<SocketAddr>,
    vitals: Vitals,
    workers: Workers,
    tasks: Vec<JoinHandle<()>>,
    http: Option<Http>,
    lags: Option<Lags>,
}

/// The HTTP listener's task, and how it is told to end.
#[derive(Debug)]
struct Http {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Server {
    /// Opens the configured store, binds every listener and begins to serve.
    pub async fn start(config: Config) -> Result<Self, ServerError> {
        let store = open_configured(&config)?;
        Self::start_on(config, store).await
    }

    /// The same on a store of the caller's.
    pub async fn start_on(config: Config, store: Arc<dyn Store>) -> Result<Self, ServerError> {
        Self::start_with(config, store, None).await
    }

    /// The same with a log whose level can be changed.
    async fn start_with(config: Config, store: Arc<dyn Store>, log: Option<LogControl>) -> Result<Self, ServerError> {
        let clock = Clock::default();
        let (metrics, page) = Metrics::new(clock.now());
        let prepared = Prepared::new(config, &metrics)?;
        let config = prepared.config().clone();
        let (mut listeners, mut certificates) = (Vec::new(), Vec::new());
        let tokens = config.http.token_file.as_deref().map(Tokens::load).transpose()?;
        for listener in &config.listeners {
            let loaded = Certificates::load(listener, |name| metrics.certificate_expiry(name))?.map(Arc::new);
            certificates.extend(loaded.clone());
            listeners.push(Listener::bind(listener, loaded, config.auth.is_configured()).await?);
        }
        let http = bind_http(&config).await?;
        let path = config.store.path.clone();
        let worker_count = config.runtime.workers;
        let broker = Broker::open(config, store, clock, metrics).map_err(|source| ServerError::Log { path, source })?;
        prepared.install(&broker);
        let workers = Workers::start(worker_count).map_err(io("cannot start a worker"))?;
        let mut server = Self {
            vitals: Vitals::new(broker.clone(), [], []),
            broker,
            addresses: listeners.iter().filter_map(Listener::ip).collect(),
            certificates,
            http_address: None,
            workers,
            tasks: Vec::new(),
            http: None,
            lags: None,
        };
        server.spawn_sys(page.clone());
        let listening = server.spawn_listeners(listeners);
        server.vitals = Vitals::new(server.broker.clone(), listening, server.workers.pulses());
        server.spawn_certificates();
        match http {
            Some((listener, address)) => {
                let site = Site::new(server.broker.clone(), page, address, tokens);
                server.spawn_http(listener, site.with_vitals(server.vitals.clone()).with_log(log));
            }
            // Samples would pile up where nobody reads them.
            None => server
                .tasks
                .push(tokio::spawn(async move { match admin::upkeep(page).await {} })),
        }
        server.spawn_housekeeping();
        server.lags = Some(Lags::watch(server.broker.clone()).map_err(io("cannot start a thread"))?);
        Ok(server)
    }

    /// The TCP addresses that are listened on, with the ports that they got.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The address of the HTTP listener, if there is one.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http_address
    }

    /// Where it listens, in one line for people.
    fn serving(&self) -> String {
        let mqtt = self.vitals.listeners().iter();
        let mqtt = mqtt.map(|listener| format!("{} {}", listener.protocol, listener.address));
        let http = self.http_address.map(|address| format!("http {address}"));
        mqtt.chain(http).collect::<Vec<_>>().join(", ")
    }

    /// Whether the certificates of all listeners can be read again.
    fn check_certificates(&self) -> Result<(), ServerError> {
        Ok(self.certificates.iter().try_for_each(|one| one.check())?)
    }

    /// Reads the certificates of all listeners again; connections that are open stay as they are. Returns whether all of
    /// them are in force; where not, those from before are, and the log says why.
    pub fn reload_certificates(&self) -> bool {
        let failed = self.certificates.iter().filter(|one| !one.reload()).count();
        failed == 0
    }

    /// The broker.
    pub fn broker(&self) -> &Arc<Broker> {
        &self.broker
    }

    /// Stops in order: no newcomers, DISCONNECT to everyone, everything on disk.
    pub async fn stop(mut self) {
        for task in self.tasks.drain(..) {
            task.abort();
        }
        self.broker.begin_stop();
        let gone = async {
            while self.broker.connection_count() > 0 {
                tokio::time::sleep(STOP_POLL).await;
            }
        };
        if tokio::time::timeout(STOP_TIMEOUT, gone).await.is_err() {
            tracing::warn!(left = self.broker.connection_count(), "connections did not end in time");
        }
        self.workers.stop();
        if let Some(lags) = self.lags.take() {
            lags.stop();
        }
        self.broker.close();
        if let Some(Http { stop, task }) = self.http.take() {
            // A task that ended on its own has nobody to tell, and said why in the log.
            let _ = stop.send(());
            let _ = task.await;
        }
    }

    fn spawn_listeners(&mut self, listeners: Vec<Listener>) -> Vec<ListenerState> {
        let mut listening = Vec::new();
        let loopback_only = self.addresses.iter().all(|address| address.ip().is_loopback());
        for listener in listeners {
            listener.announce();
            let (address, protocol) = (listener.shown(), listener.protocol());
            let task = tokio::spawn(listener.accept(self.broker.clone(), self.workers.handles()));
            listening.push(ListenerState {
                address,
                protocol,
                task: task.abort_handle(),
            });
            self.tasks.push(task);
        }
        if loopback_only {
            tracing::info!(
                "only loopback addresses are open: programs on other machines cannot connect; to open the broker to a network: --listen 0.0.0.0:1883 --anonymous, or listeners in the configuration"
            );
        }
        listening
    }

    /// Looks whether the files of certificates were changed, and warns before they expire.
    fn spawn_certificates(&mut self) {
        let (certificates, clock) = (self.certificates.clone(), self.broker.clock().clone());
        if certificates.is_empty() {
            return;
        }
        self.tasks.push(tokio::spawn(async move {
            let mut ticks = tokio::time::interval(CERTIFICATES_INTERVAL);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            for tick in 0_u64.. {
                ticks.tick().await;
                for one in &certificates {
                    one.reload_if_changed();
                    if tick % CERTIFICATE_WARNING_TICKS == 0 {
                        one.warn_of_expiry(clock.now());
                    }
                }
            }
        }));
    }

    fn spawn_http(&mut self, listener: TcpListener, site: Site) {
        let address = site.address();
        self.http_address = Some(address);
        tracing::info!(%address, "http listening");
        if !address.ip().is_loopback() && !site.has_tokens() {
            tracing::warn!(
                %address,
                "the HTTP listener serves only /metrics, /healthz and /readyz: the API on a network needs http.token_file"
            );
        }
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let shutdown = async {
                // An error means that the server is gone: stop as well.
                let _ = stopped.await;
            };
            if let Err(fault) = admin::serve(listener, site, shutdown).await {
                tracing::error!(%fault, "the HTTP listener failed");
            }
        });
        self.http = Some(Http { stop, task });
    }

    /// Tells `$SYS/broker/...` what the metrics stand at.
    fn spawn_sys(&mut self, page: MetricsPage) {
        let broker = self.broker.clone();
        let Some(interval) = broker.config().sys.interval else {
            return;
        };
        broker.publish_sys(&page.read(), broker.clock().now());
        self.tasks.push(tokio::spawn(async move {
            let mut ticks = tokio::time::interval(interval);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            ticks.tick().await;
            loop {
                ticks.tick().await;
                broker.publish_sys(&page.read(), broker.clock().now());
            }
        }));
    }

    fn spawn_housekeeping(&mut self) {
        let broker = self.broker.clone();
        let interval = broker.config().store.cursor_flush;
        self.tasks.push(tokio::spawn(async move {
            let mut ticks = tokio::time::interval(interval.min(HOUSEKEEPING_INTERVAL));
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let now = broker.clock().now();
                broker.handle_timeout(now);
                broker.flush_cursors(now);
            }
        }));
    }
}

fn open_configured(config: &Config) -> Result<Arc<dyn Store>, ServerError> {
    open_store(&config.store).map_err(|source| ServerError::Store {
        path: config.store.path.clone(),
        source,
    })
}

/// The store that the configured durability asks for.
fn open_store(config: &config::Store) -> Result<Arc<dyn Store>, StoreError> {
    let on_disk = |syncing| -> Result<Arc<dyn Store>, StoreError> {
        let options = LmdbOptions {
            syncing,
            ..LmdbOptions::default()
        };
        let store = LmdbStore::open(&config.path, &options)?;
        hygiene::check_folder(&config.path);
        Ok(Arc::new(store))
    };
    match config.durability {
        Durability::Sync => on_disk(Syncing::Always),
        Durability::Async => {
            tracing::warn!(
                flush = ?config.async_flush,
                "durability is async: a crash of the system may lose what was acknowledged last and may damage the store"
            );
            on_disk(Syncing::Every(config.async_flush))
        }
        Durability::Memory => {
            tracing::warn!("durability is memory: nothing that is stored survives this process");
            Ok(Arc::new(MemoryStore::new()))
        }
    }
}

async fn bind_http(config: &Config) -> Result<Option<(TcpListener, SocketAddr)>, ServerError> {
    if !config.http.enabled {
        return Ok(None);
    }
    let address = &config.http.address;
    let listener = TcpListener::bind((address.host.as_str(), address.port)).await;
    let bound = listener.and_then(|listener| Ok((listener.local_addr()?, listener)));
    bound
        .map(|(address, listener)| Some((listener, address)))
        .map_err(|source| ListenError::new(address.to_string(), source).into())
}

fn io(what: &'static str) -> impl FnOnce(std::io::Error) -> ServerError {
    move |source| ServerError::Io { what, source }
}

/// How often wills, sessions and cursors are looked after.
const HOUSEKEEPING_INTERVAL: Duration = Duration::from_millis(200);
/// How often it is looked whether files of certificates were changed.
const CERTIFICATES_INTERVAL: Duration = Duration::from_secs(2);
/// It is warned of their end once a day.
const CERTIFICATE_WARNING_TICKS: u64 = 24 * 3_600 / CERTIFICATES_INTERVAL.as_secs();
/// How long connections have to end when the broker stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// How often it is looked whether they have.
const STOP_POLL: Duration = Duration::from_millis(5);
