//! The door between the host and an instance: a TCP forwarder.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use snafu::{ResultExt, Snafu};

/// Two threads each: enough for every browser and load test on one machine.
const CONNECTIONS: usize = 1024;
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// A reader that takes nothing for this long is gone. Silence alone is no fault: a streaming answer
/// may pause for as long as a model thinks.
const WRITE_LIMIT: Duration = Duration::from_secs(60);
const BUFFER: usize = 64 * 1024;
const STACK: usize = 256 * 1024;

/// Why the forwarder could not begin or go on.
#[derive(Debug, Snafu)]
pub enum ForwardError {
    /// The port is taken or not allowed.
    #[snafu(display("failed to listen on {listen}: is another program using this port?"))]
    Listen {
        /// Where it should listen.
        listen: SocketAddr,
        /// The cause.
        source: io::Error,
    },
}

/// Accepts connections on `listen` and passes each on to `to`, for ever. Blocks.
///
/// # Errors
/// When it cannot listen. A connection that fails is closed and concerns no other.
pub fn forward(listen: SocketAddr, to: SocketAddr) -> Result<(), ForwardError> {
    let listener = TcpListener::bind(listen).context(ListenSnafu { listen })?;
    allow_descriptors();
    serve(&listener, to)
}

/// Two descriptors per connection are more than the usual 1024.
fn allow_descriptors() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // With the old limit fewer connections are possible, and the rest wait.
    let _kept = setrlimit(Resource::Nofile, limit);
}

fn serve(listener: &TcpListener, to: SocketAddr) -> ! {
    let open = Arc::new(AtomicUsize::new(0));
    loop {
        let Ok((client, _)) = listener.accept() else {
            // Out of file descriptors, most likely: wait until some connections have ended.
            thread::sleep(Duration::from_millis(50));
            continue;
        };
        let slot = Slot::take(&open);
        if open.load(Ordering::Relaxed) > CONNECTIONS {
            continue;
        }
        let passed = thread::Builder::new().stack_size(STACK).spawn(move || {
            // The client sees the closed connection; there is nobody else to tell.
            let _ended = pass(client, to);
            drop(slot);
        });
        if passed.is_err() {
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// One of the open connections; counts itself.
struct Slot(Arc<AtomicUsize>);

impl Slot {
    fn take(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(open))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn pass(client: TcpStream, to: SocketAddr) -> io::Result<()> {
    let server = TcpStream::connect_timeout(&to, CONNECT_LIMIT)?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(WRITE_LIMIT))?;
    }
    let (client, server) = (Arc::new(client), Arc::new(server));
    let (from_server, to_client) = (Arc::clone(&server), Arc::clone(&client));
    let back = thread::Builder::new()
        .stack_size(STACK)
        .spawn(move || copy(&from_server, &to_client))?;
    copy(&client, &server);
    // The other direction goes on: a client may close its half and still wait for the answer.
    let _panicked = back.join();
    Ok(())
}

/// Copies until the end of `from`, then closes that half of `to`. On a fault both are closed, so
/// that the other direction ends as well.
fn copy(mut from: &TcpStream, mut to: &TcpStream) {
    let mut buffer = vec![0; BUFFER];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => {
                let _gone = to.shutdown(Shutdown::Write);
                return;
            }
            Ok(length)
                if to
                    .write_all(buffer.get(..length).unwrap_or_default())
                    .is_ok() => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            _ => {
                let _gone = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(to: SocketAddr) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || serve(&listener, to));
        address
    }

    #[test]
    fn a_half_closed_client_still_gets_its_answer() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = start(server.local_addr().unwrap());
        let answer = thread::spawn(move || {
            let (mut stream, _) = server.accept().unwrap();
            let mut asked = String::new();
            stream.read_to_string(&mut asked).unwrap();
            stream.write_all(asked.to_uppercase().as_bytes()).unwrap();
        });
        let mut client = TcpStream::connect(address).unwrap();
        client
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        client.write_all(b"question").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut got = String::new();
        client.read_to_string(&mut got).unwrap();
        answer.join().unwrap();
        assert_eq!(got, "QUESTION");
    }

    #[test]
    fn nobody_behind_it_closes_the_connection() {
        let free = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let mut client = TcpStream::connect(start(free)).unwrap();
        client
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let mut got = Vec::new();
        // A reset and an orderly end are both an end.
        let _reset = client.read_to_end(&mut got);
        assert!(got.is_empty());
    }

    #[test]
    fn a_taken_port_is_an_error_that_names_it() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let error = forward(address, address).unwrap_err();
        assert!(error.to_string().contains(&address.to_string()));
    }
}
