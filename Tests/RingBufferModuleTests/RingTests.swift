import RingBufferModule
import Testing

/// The ring used as another room uses it: from outside the module, handles in local variables or in a class.
@Suite struct RingTests {
  private func ring(_ capacity: Int, _ stages: [StageSpec] = [StageSpec("only")]) throws -> Ring<Int> {
    try Ring<Int>(capacity: capacity, stages: stages)
  }

  @Test func refusesWhatCannotWork() {
    #expect(throws: RingError.capacity(3)) { try ring(3) }
    #expect(throws: RingError.capacity(1)) { try ring(1) }
    #expect(throws: RingError.capacity(0)) { try ring(0) }
    #expect(throws: RingError.stageCount(0)) { try ring(2, []) }
    #expect(throws: RingError.stageCount(9)) { try ring(2, (0..<9).map { StageSpec("s\($0)") }) }
    #expect(throws: RingError.duplicateStage("a")) { try ring(2, [StageSpec("a"), StageSpec("a")]) }
    #expect(throws: RingError.unknownStage("b")) { try ring(2, [StageSpec("a", after: ["b"]), StageSpec("b")]) }
    #expect(throws: RingError.unknownStage("a")) { try ring(2, [StageSpec("a", after: ["a"])]) }
    #expect(throws: RingError.unknownStage("x")) { _ = try ring(2).observer(of: "x") }
  }

  @Test func smallestRingFillsEmptiesAndWraps() throws {
    let ring = try ring(2)
    var producer = ring.takeProducer()
    var consumer = try ring.takeConsumer("only")
    check(consumer.pop() == nil)
    for round in 0..<50 {
      let filled = [producer.tryPush(2 * round), producer.tryPush(2 * round + 1), producer.tryPush(-1)]
      #expect(filled == [true, true, false])
      check(producer.free() == 0)
      let popped = [consumer.pop(), consumer.pop(), consumer.pop()]
      #expect(popped == [2 * round, 2 * round + 1, nil])
      check(producer.free() == 2)
    }
    check(producer.sequence == 100 && consumer.sequence == 100)
  }

  @Test func stagedElementsAppearTogetherAtPublish() throws {
    let ring = try ring(8)
    var producer = ring.takeProducer()
    var consumer = try ring.takeConsumer("only")
    check(producer.claim(5) == 5)
    for element in 0..<5 { producer.stage(element) }
    check(consumer.available() == 0)
    check(producer.claim(5) == 3)
    producer.publish()
    check(consumer.available() == 5)
    check(consumer.available(limit: 2) == 2)
    var seen: [Int] = []
    let drained = consumer.drain(limit: 4) { seen.append($0) }
    #expect(drained == 4)
    #expect(seen == [0, 1, 2, 3])
    check(producer.claim(100) == 7)
  }

  @Test func batchSpansTheEndInTwoRunsAndIsReleasedApart() throws {
    let ring = try ring(4)
    var producer = ring.takeProducer()
    var consumer = try ring.takeConsumer("only")
    for element in 0..<3 { check(producer.tryPush(element)) }
    check(consumer.drain { _ in } == 3)
    for element in 3..<7 { check(producer.tryPush(element)) }
    for _ in 0..<2 {
      // Looking twice shows the same: reading releases nothing.
      consumer.withBatch { batch in
        #expect(batch.sequence == 3)
        #expect(Array(batch.first) == [3])
        #expect(Array(batch.second) == [4, 5, 6])
        #expect((0..<batch.count).map { batch[$0] } == [3, 4, 5, 6])
      }
    }
    check(consumer.withBatch(limit: 1) { $0.count } == 1)
    check(producer.free() == 0)
    consumer.release(3)
    check(producer.free() == 3)
    check(consumer.pop() == 6)
  }

  @Test func failingBodyKeepsItsElement() throws {
    struct Refused: Error {}
    let ring = try ring(4)
    var producer = ring.takeProducer()
    var consumer = try ring.takeConsumer("only")
    for element in 0..<4 { check(producer.tryPush(element)) }
    var failed = false
    do throws(Refused) {
      _ = try consumer.drain { (element: Int) throws(Refused) in if element == 2 { throw Refused() } }
    } catch { failed = true }
    #expect(failed)
    check(consumer.pop() == 2)
  }

  @Test func laterStageNeverSeesBeyondEarlierOnes() throws {
    let ring = try ring(
      8,
      [
        StageSpec("journal"), StageSpec("audit"), StageSpec("evaluate", after: ["journal"]),
        StageSpec("seal", after: ["journal", "audit"]),
      ])
    var producer = ring.takeProducer()
    var journal = try ring.takeConsumer("journal")
    var audit = try ring.takeConsumer("audit")
    var evaluate = try ring.takeConsumer("evaluate")
    var seal = try ring.takeConsumer("seal")
    for element in 0..<6 { check(producer.tryPush(element)) }
    check(evaluate.available() == 0 && seal.available() == 0)
    check(journal.available() == 6)
    journal.release(4)
    check(evaluate.available() == 4 && seal.available() == 0)
    check(audit.drain(limit: 2) { _ in } == 2)
    check(seal.available() == 2)
    check(evaluate.drain { _ in } == 4)
    check(producer.free() == 2)
    check(seal.drain { _ in } == 2)
    check(producer.free() == 4)
  }

  @Test func closeIsSeenAfterTheLastElementByEveryStage() throws {
    let ring = try ring(4, [StageSpec("first"), StageSpec("second", after: ["first"])])
    var producer = ring.takeProducer()
    var first = try ring.takeConsumer("first")
    var second = try ring.takeConsumer("second")
    let gate = first.observer
    check(first.wait(timeoutNanoseconds: 0) == .timedOut)
    check(producer.claim(1) == 1)
    producer.stage(7)
    producer.close()
    check(first.wait(timeoutNanoseconds: 0) == .ready)
    check(second.wait(timeoutNanoseconds: 0) == .timedOut)
    #expect(gate.waitUntil(sequence: 1, timeoutNanoseconds: 0) == .timedOut)
    #expect(gate.waitUntil(sequence: 2, timeoutNanoseconds: -1) == .closed)
    check(first.pop() == 7)
    check(first.wait(timeoutNanoseconds: -1) == .closed)
    #expect(gate.waitUntil(sequence: 1, timeoutNanoseconds: -1) == .ready)
    check(second.wait(timeoutNanoseconds: -1) == .ready)
    check(second.pop() == 7)
    check(second.wait(timeoutNanoseconds: -1) == .closed)
  }

  @Test func droppedProducerPublishesWhatItStagedAndCloses() throws {
    let ring = try ring(4)
    var consumer = try ring.takeConsumer("only")
    stageOneAndDrop(ring.takeProducer())
    check(consumer.wait(timeoutNanoseconds: -1) == .ready)
    check(consumer.pop() == 9)
    check(consumer.wait(timeoutNanoseconds: -1) == .closed)
  }

  private func stageOneAndDrop(_ producer: consuming Ring<Int>.Producer) {
    var producer = producer
    check(producer.claim(1) == 1)
    producer.stage(9)
  }

  @Test func fullRingTimesOutAndPublishesWhatWasStaged() throws {
    let ring = try ring(2)
    var producer = ring.takeProducer()
    var consumer = try ring.takeConsumer("only")
    check(producer.claim(2) == 2)
    producer.stage(0)
    producer.stage(1)
    let pushed = producer.push(2, timeoutNanoseconds: 0)
    #expect(!pushed)
    check(consumer.available() == 2)
    let room = producer.waitForRoom(1, timeoutNanoseconds: 0)
    #expect(!room)
    consumer.release(1)
    let roomNow = producer.waitForRoom(1, timeoutNanoseconds: -1)
    let roomForTwo = producer.waitForRoom(2, timeoutNanoseconds: 0)
    #expect(roomNow && !roomForTwo)
    let pushedNow = producer.push(2, timeoutNanoseconds: -1)
    #expect(pushedNow)
  }

  @Test func observerCountsDepth() throws {
    let ring = try ring(4)
    var producer = ring.takeProducer()
    var consumer = try ring.takeConsumer("only")
    let observer = try ring.observer(of: "only")
    for element in 0..<3 { check(producer.tryPush(element)) }
    #expect(observer.depth == 3 && observer.sequence == 0)
    check(consumer.pop() == 0)
    #expect(observer.depth == 2 && observer.sequence == 1)
  }

  /// Random single-thread operations against a plain array: same contents, same room, same barriers, always.
  @Test(arguments: [UInt64(1), 2, 3, 4, 5, 6, 7, 8])
  func agreesWithAPlainArray(seed: UInt64) throws {
    var random = SplitMix(state: seed)
    let capacity = 1 << Int(1 + seed % 5)
    let ring = try ring(
      capacity, [StageSpec("a"), StageSpec("b", after: ["a"]), StageSpec("c", after: ["a"])])
    var producer = ring.takeProducer()
    var a = try ring.takeConsumer("a")
    var b = try ring.takeConsumer("b")
    var c = try ring.takeConsumer("c")
    var model = PlainRing(capacity: capacity)
    for _ in 0..<5_000 {
      let count = Int(random.next() % UInt64(capacity + 2))
      switch random.next() % 5 {
      case 0:
        let claimed = producer.claim(count)
        #expect(claimed == min(count, model.free))
        for _ in 0..<claimed {
          let element = Int(truncatingIfNeeded: random.next())
          producer.stage(element)
          model.staged.append(element)
        }
      case 1:
        producer.publish()
        model.publish()
      case 2: step(&a, count, &model, stage: 0)
      case 3: step(&b, count, &model, stage: 1)
      default: step(&c, count, &model, stage: 2)
      }
    }
    #expect(model.published.count > capacity)
  }

  private func step(_ consumer: inout Ring<Int>.Consumer, _ count: Int, _ model: inout PlainRing, stage: Int) {
    let expected = model.readable(stage, limit: count)
    if count % 2 == 0 {
      let seen = consumer.withBatch(limit: count) { batch in (0..<batch.count).map { batch[$0] } }
      #expect(seen == expected)
      consumer.release(seen.count)
    } else {
      var seen: [Int] = []
      check(consumer.drain(limit: count) { seen.append($0) } == expected.count)
      #expect(seen == expected)
    }
    model.released[stage] += expected.count
  }
}

/// The plain form: everything ever published, kept.
private struct PlainRing {
  let capacity: Int
  var staged: [Int] = []
  var published: [Int] = []
  /// Stage 0 follows the producer; 1 and 2 follow stage 0.
  var released = [0, 0, 0]

  init(capacity: Int) { self.capacity = capacity }

  var free: Int { capacity - (published.count + staged.count - released.min()!) }

  mutating func publish() {
    published += staged
    staged = []
  }

  func readable(_ stage: Int, limit: Int) -> [Int] {
    let end = stage == 0 ? published.count : released[0]
    return Array(published[released[stage]..<end].prefix(limit))
  }
}

/// `#expect` takes its operands apart and so cannot call mutating methods of noncopyable values; this takes the outcome.
func check(_ holds: Bool, sourceLocation: SourceLocation = #_sourceLocation) {
  #expect(holds, sourceLocation: sourceLocation)
}

struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}
