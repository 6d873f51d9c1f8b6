import Synchronization

/// A stage's progress as any thread may read it: depth for metrics, and the acknowledgement gate, where the ingest
/// thread waits until the journal has released (made durable) all it published.
public struct SequenceObserver: Sendable {
  let control: RingControl
  let index: Int

  /// Elements the stage has released. What the stage did before releasing them is visible to the caller.
  public var sequence: Int {
    // Pairs with the release store in `Consumer.release`.
    control.sequence(index).pointee.load(ordering: .acquiring)
  }

  /// Elements published and not yet released by the stage (0...capacity).
  public var depth: Int {
    // The stage first: read the other way round, the difference could be negative.
    let released = sequence
    return min(control.cursor.pointee.load(ordering: .acquiring) - released, control.capacity)
  }

  /// Waits until the stage has released `sequence` elements or more. A negative timeout has no limit.
  ///
  /// `.closed` when the producer closed before publishing that many, so that they will never come.
  public func waitUntil(sequence wanted: Int, timeoutNanoseconds: Int64) -> RingWait {
    control.wait(
      for: [control.sequence(index)], words: [control.wake(index)], toExceed: wanted - 1,
      finishedAt: wanted - 1, timeoutNanoseconds: timeoutNanoseconds)
  }
}
