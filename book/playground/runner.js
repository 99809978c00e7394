// Starts a run in a worker, or on the page itself where workers are blocked, and passes messages to it.

import { createSession } from "./session.js";

// Milliseconds of work at a time; on the page itself they must leave time to answer the reader.
const IN_WORKER = 30;
const ON_PAGE = 8;

export function answerAsWorker(scope) {
  const receive = createSession((snapshot) => scope.postMessage(snapshot), IN_WORKER);
  scope.onmessage = (event) => receive(event.data);
}

// `address` gives the address of this script for a worker, which is not started before `begin`. Every message is
// remembered until the first answer comes, so that nothing is lost when a worker turns out not to start.
export function createRunner(address, onSnapshot) {
  let sent = [];
  let send = null;
  let worker = null;

  function stayHere() {
    worker?.terminate();
    worker = null;
    const receive = createSession(onSnapshot, ON_PAGE);
    send = receive;
    for (const message of sent.splice(0)) receive(message);
  }

  return {
    begin() {
      if (send) return;
      try {
        worker = new Worker(address());
        send = (message) => worker.postMessage(message);
        worker.onmessage = (event) => {
          sent = null;
          onSnapshot(event.data);
        };
        worker.onerror = (event) => {
          event.preventDefault();
          if (sent) stayHere();
        };
        sent.forEach(send);
      } catch {
        stayHere();
      }
    },
    send(message) {
      if (worker || !send) sent?.push(message);
      send?.(message);
    },
    stop() {
      if (worker) worker.terminate();
      else send?.({ type: "until", step: 0 });
    },
  };
}
