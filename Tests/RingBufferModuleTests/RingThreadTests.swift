import Glibc
import RingBufferModule
import Testing

/// Real threads: every element arrives once, whole and in order at every stage, whatever the sleeping and waking.
@Suite struct RingThreadTests {
  @Test(arguments: [2, 64, 4096])
  func stagedConsumersSeeEveryElementWholeAndInOrder(capacity: Int) throws {
    let items = capacity == 2 ? 4_000 : 40_000
    let ring = try Ring<Slot>(
      capacity: capacity, stages: [StageSpec("journal"), StageSpec("evaluate", after: ["journal"])])
    let journal = ReaderThread(consumer: try ring.takeConsumer("journal"), upstream: nil)
    let evaluate = ReaderThread(
      consumer: try ring.takeConsumer("evaluate"), upstream: try ring.observer(of: "journal"))
    let threads = [journal.start(), evaluate.start()]
    var producer = ring.takeProducer()
    let durable = try ring.observer(of: "journal")
    for number in 0..<items {
      if number % 7 == 0 {
        let pushed = producer.push(Slot(number: number))
        #expect(pushed)
      } else {
        if producer.claim(1) == 0 { _ = producer.waitForRoom(1, timeoutNanoseconds: -1) }
        producer.stage(Slot(number: number))
      }
      // The acknowledgement gate: wait for the journal to release all that was published.
      if number % 1_000 == 999 {
        producer.publish()
        #expect(durable.waitUntil(sequence: producer.sequence, timeoutNanoseconds: -1) == .ready)
      }
    }
    producer.close()
    for thread in threads { pthread_join(thread, nil) }
    for reader in [journal, evaluate] {
      #expect(reader.seen == items)
      #expect(reader.faults == 0)
    }
  }

  @Test func closeWakesSleepersOnEveryStage() throws {
    let ring = try Ring<Slot>(
      capacity: 4, stages: [StageSpec("a"), StageSpec("b", after: ["a"]), StageSpec("c", after: ["a", "b"])])
    let readers = try ["a", "b", "c"].map { ReaderThread(consumer: try ring.takeConsumer($0), upstream: nil) }
    let threads = readers.map { $0.start() }
    var producer = ring.takeProducer()
    producer.close()
    for thread in threads { pthread_join(thread, nil) }
    #expect(readers.allSatisfy { $0.seen == 0 && $0.faults == 0 })
  }
}

/// A 64-byte element whose words all follow from its number, so that a torn or stale one shows.
private struct Slot: BitwiseCopyable {
  var words: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64)

  init(number: Int) {
    let seed = UInt64(number) &* 0x9E37_79B9_7F4A_7C15
    words = (UInt64(number), seed, seed &+ 1, seed &+ 2, seed &+ 3, seed &+ 4, seed &+ 5, seed ^ UInt64(number))
  }

  func isWhole(number: Int) -> Bool {
    let expected = Slot(number: number).words
    return words.0 == expected.0 && words.1 == expected.1 && words.2 == expected.2 && words.3 == expected.3
      && words.4 == expected.4 && words.5 == expected.5 && words.6 == expected.6 && words.7 == expected.7
  }
}

/// A stage as a service holds it: the handle in a final class that one thread owns.
private final class ReaderThread {
  private var consumer: Ring<Slot>.Consumer
  private let upstream: SequenceObserver?
  private(set) var seen = 0
  private(set) var faults = 0

  init(consumer: consuming Ring<Slot>.Consumer, upstream: SequenceObserver?) {
    self.consumer = consumer
    self.upstream = upstream
  }

  /// The caller joins the thread before it looks at the counts.
  func start() -> pthread_t {
    var thread = pthread_t()
    let created = pthread_create(&thread, nil, readerMain, Unmanaged.passRetained(self).toOpaque())
    precondition(created == 0, "no thread")
    return thread
  }

  func run() {
    while consumer.wait(timeoutNanoseconds: -1) == .ready {
      let start = consumer.sequence
      let count = consumer.withBatch(limit: 100) { batch in
        for index in 0..<batch.count where !batch[index].isWhole(number: start + index) { faults += 1 }
        return batch.count
      }
      if let upstream, upstream.sequence < start + count { faults += 1 }
      seen += count
      consumer.release(count)
    }
  }
}

private func readerMain(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  guard let context else { return nil }
  Unmanaged<ReaderThread>.fromOpaque(context).takeRetainedValue().run()
  return nil
}
