//! A collector: takes traces and metrics by OTLP over HTTP, and shows what it got.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering::Relaxed},
    },
};

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, StatusCode, Uri},
};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;

use super::{eventually, protobuf::Message};

/// It never answers.
pub(crate) const SILENT: u16 = 0;

type Attributes = BTreeMap<String, String>;

/// A request to it.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Message,
}

#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) name: String,
    /// 2 is a server, 3 a client.
    pub(crate) kind: u64,
    pub(crate) trace: Vec<u8>,
    pub(crate) id: Vec<u8>,
    pub(crate) parent: Vec<u8>,
    /// In nanoseconds since 1970.
    pub(crate) time: (u64, u64),
    pub(crate) attributes: Attributes,
    /// The names of its events.
    pub(crate) events: Vec<String>,
    /// The message, if it has failed.
    pub(crate) error: Option<String>,
    /// Of the process.
    pub(crate) resource: Attributes,
}

/// Ends when dropped.
pub(crate) struct Collector {
    pub(crate) endpoint: String,
    /// The root of its certificate, if it has one.
    pub(crate) root: PathBuf,
    status: Arc<AtomicU16>,
    received: Arc<Mutex<Vec<Received>>>,
    _folder: TempDir,
    _serving: AbortOnDropHandle<()>,
}

impl Collector {
    /// Answers with this status.
    pub(crate) async fn start(status: u16) -> Self {
        Self::start_with(status, false).await
    }

    /// By https.
    pub(crate) async fn start_with_tls() -> Self {
        Self::start_with(200, true).await
    }

    async fn start_with(status: u16, secure: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (folder, status) = (TempDir::new().unwrap(), Arc::new(AtomicU16::new(status)));
        let root = folder.path().join("root.pem");
        let tls = secure.then(|| acceptor(&root));
        let received = Arc::<Mutex<Vec<_>>>::default();
        let router = {
            let (status, received) = (status.clone(), received.clone());
            Router::new().fallback(async move |uri: Uri, headers: HeaderMap, body: Bytes| {
                let (path, body) = (uri.path().to_owned(), Message::read(&body));
                received.lock().unwrap().push(Received {
                    path,
                    headers,
                    body,
                });
                match status.load(Relaxed) {
                    SILENT => std::future::pending().await,
                    status => StatusCode::from_u16(status).unwrap(),
                }
            })
        };
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (tls, router) = (tls.clone(), router.clone());
                tokio::spawn(async move {
                    match tls {
                        // A client that does not trust it goes away.
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => serve(stream, router).await,
                            Err(error) => eprintln!("the collector: {error}"),
                        },
                        None => serve(stream, router).await,
                    }
                });
            }
        });
        let scheme = if secure { "https" } else { "http" };
        Self {
            endpoint: format!("{scheme}://localhost:{port}"),
            root,
            status,
            received,
            _folder: folder,
            _serving: AbortOnDropHandle::new(serving),
        }
    }

    /// From the next request on.
    pub(crate) fn answer(&self, status: u16) {
        self.status.store(status, Relaxed);
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    pub(crate) async fn until_asked(&self, times: usize) {
        eventually("the collector to be asked", async || {
            (self.received().len() >= times).then_some(())
        })
        .await;
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        let mut spans = Vec::new();
        for received in self.received() {
            if received.path != "/v1/traces" {
                continue;
            }
            for of_process in received.body.messages(1) {
                let resource = attributes(&of_process.message(1), 1);
                for scope in of_process.messages(2) {
                    let all = scope.messages(2);
                    spans.extend(all.iter().map(|span| Span::of(span, resource.clone())));
                }
            }
        }
        spans
    }

    /// The only span with this name.
    pub(crate) fn span(&self, name: &str) -> Span {
        let all = self.spans();
        let mut found = all.iter().filter(|span| span.name == name);
        match (found.next(), found.next()) {
            (Some(span), None) => span.clone(),
            _ => panic!("not one {name} in {all:#?}"),
        }
    }

    /// What came last of the metrics: each with its data.
    pub(crate) fn metrics(&self) -> BTreeMap<String, Message> {
        let all = self.received();
        let last = all
            .iter()
            .rfind(|received| received.path == "/v1/metrics")
            .map(|it| it.body.clone());
        let of_process = last.unwrap_or_default().message(1);
        let metrics = of_process.message(2).messages(2);
        metrics
            .into_iter()
            .map(|metric| (metric.text(1), metric))
            .collect()
    }
}

impl Span {
    fn of(span: &Message, resource: Attributes) -> Self {
        let number = |field| span.number(field).unwrap_or_default();
        let status = span.message(15);
        Self {
            name: span.text(5),
            kind: number(6),
            trace: span.bytes(1),
            id: span.bytes(2),
            parent: span.bytes(4),
            time: (number(7), number(8)),
            attributes: attributes(span, 9),
            events: span.messages(11).iter().map(|it| it.text(2)).collect(),
            error: (status.number(3) == Some(2)).then(|| status.text(2)),
            resource,
        }
    }

    /// An attribute, as text.
    pub(crate) fn get(&self, key: &str) -> &str {
        let value = self.attributes.get(key);
        value.unwrap_or_else(|| panic!("no {key} in {self:#?}"))
    }
}

/// Those in this field, as text.
pub(crate) fn attributes(of: &Message, field: u64) -> Attributes {
    let mut attributes = Attributes::new();
    for attribute in of.messages(field) {
        let value = attribute.message(2);
        let text = match (value.number(2), value.number(3)) {
            (Some(truth), _) => (truth == 1).to_string(),
            (_, Some(number)) => number.to_string(),
            _ => value.text(1),
        };
        attributes.insert(attribute.text(1), text);
    }
    attributes
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, router: Router) {
    let service = TowerToHyperService::new(router);
    let connection = hyper::server::conn::http1::Builder::new();
    let served = connection.serve_connection(TokioIo::new(stream), service);
    drop(served.await); // the client has gone away
}

/// For `localhost`, by a root that only its file knows.
fn acceptor(root: &PathBuf) -> TlsAcceptor {
    let mut params = CertificateParams::new(["root".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    std::fs::write(root, params.self_signed(&key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}
