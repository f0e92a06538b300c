//! The web page in a real browser: sign in, upload, ask, read the citation, change the language.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::{ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;

use crate::support::{ready, run, wait_for};

/// chromedriver on a port of its own, ended with the test.
struct Driver {
    child: Child,
    port: u16,
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Driver {
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let child = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is installed with the local cluster's packages");
        Self { child, port }
    }

    async fn client(&self) -> fantoccini::Client {
        let options = json!({"goog:chromeOptions": {"args": [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--ignore-certificate-errors", "--window-size=1200,900", "--lang=en",
        ]}, "acceptInsecureCerts": true});
        wait_for("chromedriver", Duration::from_secs(30), async || {
            // chromedriver is on loopback and speaks plain HTTP.
            let mut builder = ClientBuilder::new(HttpConnector::new());
            builder.capabilities(options.as_object().unwrap().clone());
            let url = format!("http://127.0.0.1:{}", self.port);
            builder
                .connect(&url)
                .await
                .map_err(|error| error.to_string())
        })
        .await
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
        let browser = driver.client().await;
        browser.goto(&format!("{}/", client.url())).await.unwrap();
        let within = Duration::from_secs(30);
        let find = async |css: String| {
            browser
                .wait()
                .at_most(within)
                .for_element(Locator::Css(&css))
                .await
        };

        find(test_id("sign-in"))
            .await
            .unwrap()
            .click()
            .await
            .unwrap();
        find("#username".to_owned())
            .await
            .unwrap()
            .send_keys(&login.username)
            .await
            .unwrap();
        find("#password".to_owned())
            .await
            .unwrap()
            .send_keys(&login.password)
            .await
            .unwrap();
        find("#kc-login".to_owned())
            .await
            .unwrap()
            .click()
            .await
            .unwrap();

        let name = format!("lotoai-browser-{}.md", std::process::id());
        let file = std::env::temp_dir().join(&name);
        std::fs::write(
            &file,
            "# Parking\n\nThe visitor parking code is 4417 and changes every June.\n",
        )
        .unwrap();
        let input = find(test_id("file-input")).await.unwrap();
        input.send_keys(&file.to_string_lossy()).await.unwrap();
        wait_for(
            "the page to say that the document is ready",
            Duration::from_secs(90),
            async || {
                let mine = format!("{}[data-name=\"{name}\"]", test_id("document-status"));
                let status = browser.find(Locator::Css(&mine)).await;
                let status = status.map_err(|error| error.to_string())?;
                let state = status
                    .attr("data-status")
                    .await
                    .map_err(|error| error.to_string())?;
                if state.as_deref() == Some("indexed") {
                    Ok(())
                } else {
                    Err(format!("{state:?}"))
                }
            },
        )
        .await;
        std::fs::remove_file(&file).unwrap();

        let question = find(test_id("question")).await.unwrap();
        question
            .send_keys("What is the visitor parking code?")
            .await
            .unwrap();
        find(test_id("send")).await.unwrap().click().await.unwrap();
        wait_for(
            "the answer with its citation",
            Duration::from_secs(60),
            async || {
                let answer = browser.find(Locator::Css(&test_id("answer"))).await;
                let text = answer
                    .map_err(|e| e.to_string())?
                    .text()
                    .await
                    .map_err(|e| e.to_string())?;
                if text.contains("4417") {
                    Ok(())
                } else {
                    Err(text)
                }
            },
        )
        .await;
        find(test_id("citation"))
            .await
            .unwrap()
            .click()
            .await
            .unwrap();
        wait_for("the passage", within, async || {
            let source = browser.source().await.map_err(|error| error.to_string())?;
            if source.contains("changes every June") {
                Ok(())
            } else {
                Err("no passage".to_owned())
            }
        })
        .await;
        let picture = browser.screenshot().await.unwrap();
        std::fs::write(std::env::temp_dir().join("lotoai-browser.png"), picture).unwrap();
        let before = find("html".to_owned())
            .await
            .unwrap()
            .attr("lang")
            .await
            .unwrap();
        find(test_id("language"))
            .await
            .unwrap()
            .select_by_value("es")
            .await
            .unwrap();
        let after = find("html".to_owned())
            .await
            .unwrap()
            .attr("lang")
            .await
            .unwrap();
        assert_eq!(
            (before.as_deref(), after.as_deref()),
            (Some("en"), Some("es"))
        );
        browser.close().await.unwrap();
    });
}
