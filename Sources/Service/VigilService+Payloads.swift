import Decoding

/// A way in beside the brokers', for a process that has its payloads already.
extension VigilService {
  /// Takes in payloads as a broker's connection does, in the order given, and returns once the journal holds them.
  ///
  /// - Parameter feed: calls what it is given once a payload, with topic, bytes and receive time in milliseconds.
  /// - Returns: false when the service is giving up: none of them may then be taken as stored.
  package func takeIn(
    _ feed: ((UnsafeRawBufferPointer, UnsafeRawBufferPointer, Int64) -> Void) -> Void
  ) -> Bool {
    controlLane.withLane { lane in
      feed { topic, payload, receivedAt in
        lane.take(topic, payload, contentType: nil, Arrival(receivedAt: receivedAt))
      }
      return lane.waitUntilDurable()
    }
  }
}
