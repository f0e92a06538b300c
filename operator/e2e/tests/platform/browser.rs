//! The web page in a real browser: sign in, upload, ask, read the citation, make and revoke a key,
//! see what was used, set a budget, change the language.

mod pages;

use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fantoccini::{ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use rustix::process::{Pid, Signal, geteuid, kill_process, kill_process_group};
use serde_json::json;
use tempfile::TempDir;

use crate::support::{ready, run, wait_for};

/// How long the page may take for what needs no model and no indexing.
const WITHIN: Duration = Duration::from_secs(30);

/// chromedriver with its browsers, on a port and in a directory of its own; all of it ends with
/// the test, also when that panics, and with the process of the tests, however that ends.
struct Driver {
    child: Child,
    port: u16,
    home: TempDir,
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(group) = Pid::from_raw(self.child.id().cast_signed()) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
        // They are on their way out; the directory goes after the last of them.
        let begun = Instant::now();
        loop {
            let left = processes_with(self.home.path());
            if left.is_empty() || begun.elapsed() > Duration::from_secs(10) {
                break;
            }
            for process in left {
                let _ = kill_process(process, Signal::KILL);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Processes whose command line names `directory`: they were started for this test and by nobody
/// else.
fn processes_with(directory: &Path) -> Vec<Pid> {
    let wanted = directory.to_string_lossy();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let id = entry.file_name().to_str()?.parse().ok()?;
            let line = std::fs::read(entry.path().join("cmdline")).ok()?;
            String::from_utf8_lossy(&line)
                .contains(&*wanted)
                .then(|| Pid::from_raw(id))?
        })
        .collect()
}

/// The command that chromedriver's arguments follow.
fn chromedriver() -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]);
    // A browser leads a group of its own and outlives its driver. With root's rights the driver is
    // the first process of a namespace, and the kernel ends all others in it with that one.
    if geteuid().is_root() {
        command.args(["unshare", "--pid", "--fork", "--kill-child=KILL"]);
        command.args(["--mount-proc", "--"]);
    }
    command.arg("chromedriver");
    command
}

impl Driver {
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        // The name is short because it is a part of the name of a socket.
        let home = TempDir::with_prefix("web-").unwrap();
        let child = chromedriver()
            .arg(format!("--port={port}"))
            // Chromium leaves sockets and profiles wherever it may write.
            .env("TMPDIR", home.path())
            .env("HOME", home.path())
            .env("LANGUAGE", "en")
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("setpriv is part of every Linux system");
        Self { child, port, home }
    }

    async fn client(&self) -> fantoccini::Client {
        let profile = self.home.path().join("profile");
        let options = json!({"goog:chromeOptions": {
            "args": [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic",
                "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
                "--disable-component-update", "--disable-sync", "--ignore-certificate-errors",
                "--window-size=1200,900", "--lang=en",
                format!("--user-data-dir={}", profile.display()),
            ],
            "prefs": {"intl.accept_languages": "en"},
        }, "acceptInsecureCerts": true});
        wait_for("chromedriver", WITHIN, async || {
            // chromedriver is on loopback and speaks plain HTTP.
            let mut builder = ClientBuilder::new(HttpConnector::new());
            builder.capabilities(options.as_object().unwrap().clone());
            let url = format!("http://127.0.0.1:{}", self.port);
            builder
                .connect(&url)
                .await
                .map_err(|error| format!("is chromium-driver installed? {error}"))
        })
        .await
    }
}

/// A page and what a person does on it.
struct Page(fantoccini::Client);

impl Page {
    async fn find(&self, css: &str) -> fantoccini::elements::Element {
        let wait = self.0.wait().at_most(WITHIN);
        match wait.for_element(Locator::Css(css)).await {
            Ok(element) => element,
            Err(error) => panic!("{css} is not on the page: {error}"),
        }
    }

    async fn click(&self, css: &str) {
        self.find(css).await.click().await.unwrap();
    }

    async fn fill(&self, css: &str, text: &str) {
        let field = self.find(css).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Attribute of an element that is there now.
    async fn attribute(&self, css: &str, name: &str) -> Result<String, String> {
        let element = self.0.find(Locator::Css(css)).await;
        let value = element
            .map_err(|error| error.to_string())?
            .attr(name)
            .await
            .map_err(|error| error.to_string())?;
        Ok(value.unwrap_or_default())
    }

    /// Whether an element is there now.
    async fn has(&self, css: &str) -> bool {
        self.0.find(Locator::Css(css)).await.is_ok()
    }

    async fn choose(&self, css: &str, value: &str) {
        let field = self.find(css).await;
        field.select_by_value(value).await.unwrap();
    }

    /// Keeps a picture where `LOTOAI_PICTURES` says, if it says so.
    async fn picture(&self, name: &str) {
        let Some(directory) = std::env::var_os("LOTOAI_PICTURES") else {
            return;
        };
        let picture = self.0.screenshot().await.unwrap();
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(Path::new(&directory).join(name), picture).unwrap();
    }

    async fn text(&self, css: &str) -> String {
        self.find(css).await.text().await.unwrap()
    }

    /// Fills in and sends Keycloak's form.
    async fn sign_in(&self, username: &str, password: &str) {
        self.fill("#username", username).await;
        self.fill("#password", password).await;
        self.click("#kc-login").await;
    }
}

fn test_id(id: &str) -> String {
    format!("[data-testid=\"{id}\"]")
}

#[test]
fn a_person_signs_in_uploads_asks_and_reads_the_source() {
    run(|| async {
        let (platform, client) = ready().await;
        let login = platform.first_user().await.unwrap();
        let driver = Driver::start();
        let page = Page(driver.client().await);
        page.0.goto(&format!("{}/", client.url())).await.unwrap();

        page.click(&test_id("sign-in")).await;
        // The negative control: a wrong password leads back to the form and nowhere else.
        page.sign_in(&login.username, "not the password").await;
        wait_for("the form to come again", WITHIN, async || {
            let url = page.0.current_url().await.map_err(|e| e.to_string())?;
            if url.path().contains("/login-actions/") {
                Ok(())
            } else {
                Err(url.to_string())
            }
        })
        .await;
        page.find("#password").await;
        page.0.goto(&format!("{}/", client.url())).await.unwrap();
        page.find(&test_id("sign-in")).await;
        assert!(
            !page.has(&test_id("me")).await,
            "a wrong password signed in"
        );

        page.click(&test_id("sign-in")).await;
        page.sign_in(&login.username, &login.password).await;
        assert_eq!(page.text(&test_id("me")).await, login.username);

        upload(&driver, &page).await;
        ask(&page).await;

        page.click(&format!(".sources {}", test_id("citation")))
            .await;
        let passage = page.text(&test_id("passage")).await;
        assert!(passage.contains("changes every June"), "{passage}");
        page.picture("browser.png").await;

        pages::account(&page, &client).await;
        pages::usage(&page, &client).await;

        assert_eq!(page.attribute("html", "lang").await.unwrap(), "en");
        page.choose(&test_id("language"), "es").await;
        page.find("html[lang=\"es\"]").await;
        page.0.close().await.unwrap();
    });
}

async fn upload(driver: &Driver, page: &Page) {
    let name = format!("parking-{}.md", std::process::id());
    let file = driver.home.path().join(&name);
    std::fs::write(
        &file,
        "# Parking\n\nThe visitor parking code is 4417 and changes every June.\n",
    )
    .unwrap();
    let input = page.find(&test_id("file-input")).await;
    input.send_keys(&file.to_string_lossy()).await.unwrap();
    let mine = format!("{}[data-name=\"{name}\"]", test_id("document-status"));
    wait_for(
        "the page to say that the document is ready",
        Duration::from_secs(90),
        async || {
            let state = page.attribute(&mine, "data-status").await?;
            if state == "indexed" {
                Ok(())
            } else {
                Err(state)
            }
        },
    )
    .await;
}

async fn ask(page: &Page) {
    page.fill(&test_id("question"), "What is the visitor parking code?")
        .await;
    page.click(&test_id("send")).await;
    let answer = test_id("answer");
    // While the answer is written its text and its links still change.
    wait_for(
        "the end of the answer",
        Duration::from_secs(60),
        async || {
            let state = page.attribute(&answer, "data-state").await?;
            if state == "done" { Ok(()) } else { Err(state) }
        },
    )
    .await;
    let text = page.text(&format!("{answer}[data-state=\"done\"]")).await;
    assert!(text.contains("4417"), "{text}");
}
