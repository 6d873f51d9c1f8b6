/// Why an attempt got no usable answer.
package enum TransportFailure: String, Sendable {
  case resolve
  case connect
  case tls
  case timeout
  /// The address is private, loopback or link-local and the receiver may not have one.
  case addressRefused = "address_refused"
  case other
}

/// What came of one attempt.
package enum AttemptResult: Sendable, Equatable {
  /// Any 2xx.
  case delivered(status: Int)
  /// Any other status; redirects are failures. `retryAfterMs` only for 429 and 503.
  case refused(status: Int, retryAfterMs: Int64?)
  case broken(TransportFailure)

  /// Sorts a response: only 2xx is success, and Retry-After counts for 429 and 503 only.
  package static func answered(status: Int, retryAfterMs: Int64?) -> AttemptResult {
    if (200..<300).contains(status) { return .delivered(status: status) }
    return .refused(status: status, retryAfterMs: [429, 503].contains(status) ? retryAfterMs : nil)
  }

  package var isDelivered: Bool {
    if case .delivered = self { return true }
    return false
  }

  /// Whether it is the body that was refused, so that the same body cannot do better: 400, 413 or 422.
  package var refusesBody: Bool {
    if case .refused(let status, _) = self { return [400, 413, 422].contains(status) }
    return false
  }
}

/// What becomes of an item after an attempt.
package enum AttemptDisposition: Sendable, Equatable {
  /// Delivered: the outbox row can go.
  case done
  /// Tried again at about this time (schedule clock, milliseconds), sooner if the receiver recovers.
  case retry(atMs: Int64)
  /// A memory-only item out of attempts, or one whose receiver is no longer configured: held no longer here. An
  /// outbox row of it stays.
  case released
  /// The receiver has refused the body too often: held no longer here, its outbox row is a dead letter.
  case givenUp
}

/// Something a person or the service must know about; each is told once per occurrence.
package enum DeliveryNotice: Sendable, Equatable {
  /// A high item has failed or waited too long on its receiver; it is still being tried. Raise a technical alert on
  /// the next route.
  case undelivered(item: OutboxItem, attempts: Int)
  /// The endpoint keeps answering 404 or 410 and is now only probed. Raise a technical alert.
  case parked(receiver: String, status: Int)
  /// The breaker opened: everything but high items waits for a probe to succeed.
  case breakerOpened(receiver: String)
  /// A broken or parked receiver accepted a webhook; all that waited for it is due now.
  case recovered(receiver: String)
  /// A receiver is back after an outage and alerts that have ended are owed to it: make one digest of them and answer
  /// with `DeliverySchedule.digested`. Until then, or for at most a minute, they wait; all others go.
  case digestDue(receiver: String, underWay: [UInt64])
  /// A newer webhook of an alert has been delivered while older ones of it wait to be tried again.
  case overtook(receiver: String, outboxKeys: [UInt64])
  /// The item names a receiver that is not configured; it is not held. Its outbox row stays.
  case noSuchReceiver(item: OutboxItem)
}
