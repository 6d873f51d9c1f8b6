import Evaluation
import TestSupport
import Testing
import VitalModel

@testable import Pipeline

/// DESIGN invariant 2: one deterministic engine.
@Suite struct EngineReplayTests {
  /// A ward's journal: four patients, dips, doubt, gaps, back-logs, clock entries.
  private static func journal(_ strip: Strip, seed: UInt64, length: Int) -> [Slot] {
    var generator = SeededGenerator(seed: seed)
    var text = ""
    var second = 0
    var spo2 = [97, 97, 95, 92]
    var isOffline = [false, false, false, false]
    for _ in 0..<length {
      second += 1
      for patient in 0..<4 {
        if Int.random(in: 0..<150, using: &generator) == 0 {
          if isOffline[patient] {
            let from = second - 60
            text += "\(second)>\(from)..\(second - 31)/3: p\(patient).spo2=\(spo2[patient]) p\(patient).hr=150\n"
          }
          isOffline[patient].toggle()
        }
        if isOffline[patient] { continue }
        spo2[patient] = max(60, min(99, spo2[patient] + Int.random(in: -3...3, using: &generator)))
        let quality = Int.random(in: 0..<30, using: &generator) == 0 ? "?0.1" : ""
        let state = Int.random(in: 0..<90, using: &generator) == 0 ? "!lead-off" : ""
        text += "\(second): p\(patient).spo2=\(spo2[patient])\(quality)\(state)"
        text += " p\(patient).hr@b=\(Int.random(in: 35...180, using: &generator))"
        if second % 5 == 0 { text += " p\(patient).resp=\(Int.random(in: 5...40, using: &generator))" }
        if second % 60 == patient { text += " p\(patient).sbp@c=\(Int.random(in: 70...200, using: &generator))" }
        text += "\n"
      }
      if Int.random(in: 0..<4, using: &generator) == 0 { text += "clock \(second).5\n" }
    }
    return strip.parse(text)
  }

  private static func engine(_ strip: Strip, _ clock: EngineClock) throws -> Engine {
    Engine(layout: try Shipped.ward(), options: EngineOptions(clock: clock), names: strip.directory)
  }

  @Test("invariant 2: the same journal gives the same bytes", arguments: [EngineClock.stream, .wall])
  func replayIsEqual(clock: EngineClock) throws {
    let strip = Strip(try Shipped.ward())
    let slots = EngineReplayTests.journal(strip, seed: 1, length: 1500)
    let first = try EngineReplayTests.engine(strip, clock)
    let second = try EngineReplayTests.engine(strip, clock)
    for slot in slots { first.apply(slot) }
    for slot in slots { second.apply(slot) }
    first.finishMessage()
    second.finishMessage()
    #expect(first.output.transitions.count > 50)
    #expect(first.output.ledger.count > 20)
    #expect(Strip.everything(first.output) == Strip.everything(second.output))
    #expect(first.allStates == second.allStates)
  }

  @Test("invariant 2: how entries are batched does not show", arguments: [EngineClock.stream, .wall])
  func batchingIsInvisible(clock: EngineClock) throws {
    let strip = Strip(try Shipped.ward())
    // Without marks at the ends of messages, too: a message then ends with the entry after it.
    let slots = EngineReplayTests.journal(strip, seed: 2, length: 800).map { slot in
      var bare = slot
      if slot.payload % 3 == 0 { bare.flags.remove(.endOfMessage) }
      return bare
    }
    let whole = try EngineReplayTests.engine(strip, clock)
    for slot in slots { whole.apply(slot) }
    whole.finishMessage()
    for seed in 0..<3 as Range<UInt64> {
      var generator = SeededGenerator(seed: seed)
      let cut = try EngineReplayTests.engine(strip, clock)
      for (index, slot) in slots.enumerated() {
        cut.apply(slot)
        let next = index + 1 < slots.count ? slots[index + 1] : nil
        let isSameMessage = next.map { $0.patient == slot.patient && $0.eventTime == slot.eventTime } ?? false
        if !isSameMessage, Int.random(in: 0..<5, using: &generator) == 0 { cut.finishMessage() }
      }
      cut.finishMessage()
      #expect(Strip.everything(whole.output) == Strip.everything(cut.output))
      #expect(whole.allStates == cut.allStates)
    }
  }

  @Test(
    "invariant 2: a checkpoint anywhere, restored, continues with the same bytes",
    arguments: [EngineClock.stream, .wall], 0..<2 as Range<UInt64>)
  func restoredContinues(clock: EngineClock, seed: UInt64) throws {
    let strip = Strip(try Shipped.ward())
    let slots = EngineReplayTests.journal(strip, seed: seed, length: 1200)
    var generator = SeededGenerator(seed: seed + 100)
    let whole = try EngineReplayTests.engine(strip, clock)
    var cuts: Set<Int> = []
    for _ in 0..<4 { cuts.insert(Int.random(in: 1..<slots.count, using: &generator)) }
    var restored: [(engine: Engine, told: Int, held: Int)] = []
    for (index, slot) in slots.enumerated() {
      whole.apply(slot)
      for other in restored { other.engine.apply(slot) }
      guard cuts.contains(index) else { continue }
      if !whole.isBetweenMessages {
        cuts.insert(index + 1)
        continue
      }
      let copy = try EngineReplayTests.engine(strip, clock)
      for number in whole.patientNumbers {
        guard let state = whole.encodeState(of: number) else { continue }
        try copy.restoreState(of: number, position: state.position, bytes: state.bytes)
      }
      copy.finishRestoring()
      copy.resume(at: whole.position, clock: whole.clock)
      #expect(copy.allStates == whole.allStates)
      restored.append((copy, whole.output.transitions.count, whole.output.ledger.count))
    }
    whole.finishMessage()
    #expect(!restored.isEmpty)
    for other in restored {
      other.engine.finishMessage()
      var rest = EngineOutput()
      rest.transitions = Array(whole.output.transitions.dropFirst(other.told))
      rest.ledger = Array(whole.output.ledger.dropFirst(other.held))
      #expect(Strip.everything(other.engine.output) == Strip.everything(rest))
      #expect(difference(other.engine.allStates, whole.allStates) == nil)
    }
  }

  /// Where two sets of states first differ: short enough to read.
  private func difference(_ a: [[UInt8]], _ b: [[UInt8]]) -> String? {
    if a == b { return nil }
    guard a.count == b.count, let patient = a.indices.first(where: { a[$0] != b[$0] }) else { return "patients differ" }
    let (one, two) = (a[patient], b[patient])
    let at = zip(one, two).enumerated().first { $0.element.0 != $0.element.1 }?.offset ?? min(one.count, two.count)
    let around = max(0, at - 30)
    return
      "patient \(patient), byte \(at) of \(one.count) and \(two.count): \(one[around...].prefix(60)) and \(two[around...].prefix(60))"
  }

  @Test("E2: recovery from states of different ages applies each entry once", arguments: [EngineClock.stream, .wall])
  func recoveryFromMixedStates(clock: EngineClock) throws {
    let strip = Strip(try Shipped.ward())
    let slots = EngineReplayTests.journal(strip, seed: 5, length: 900)
    let whole = try EngineReplayTests.engine(strip, clock)
    var stored: [UInt32: (position: UInt64, bytes: [UInt8])] = [:]
    var floor: UInt64 = 0
    var floorClock = Int64.min
    for (index, slot) in slots.enumerated() {
      whole.apply(slot)
      guard index % 97 == 0, index < 3000, whole.isBetweenMessages else { continue }
      let dirty = whole.dirtyPatients(before: whole.position, limit: 1)
      for number in dirty { stored[number] = whole.encodeState(of: number) }
      whole.markStored(dirty)
      floor = whole.stateFloor
    }
    whole.finishMessage()
    for slot in slots where slot.payload <= floor { floorClock = max(floorClock, slot.ingestTime) }
    let recovered = try EngineReplayTests.engine(strip, clock)
    for number in stored.keys.sorted() {
      guard let state = stored[number] else { continue }
      try recovered.restoreState(of: number, position: state.position, bytes: state.bytes)
    }
    recovered.finishRestoring()
    recovered.resume(at: floor, clock: floorClock)
    for slot in slots where slot.payload > floor { recovered.apply(slot) }
    recovered.finishMessage()
    #expect(recovered.allStates == whole.allStates)
  }

  @Test("E2: the floor never passes a change that no stored state holds")
  func floorWithStatesStoredOutOfTurn() throws {
    let strip = Strip(try Shipped.ward()).feed("0: a.spo2=97\n0: b.spo2=97\n0: c.spo2=97")
    let engine = strip.engine
    let numbers = engine.patientNumbers
    // The second is stored before its turn and changes again; then the first is stored.
    engine.markStored([numbers[1]])
    strip.feed("1: b.spo2=96")
    engine.markStored([numbers[0]])
    #expect(engine.stateFloor == 2, "the third patient changed at position 3")
    #expect(engine.dirtyPatients(before: engine.position, limit: 10) == [numbers[2], numbers[1]])
    engine.markStored([numbers[2]])
    #expect(engine.stateFloor == 3)
    engine.markStored([numbers[1]])
    #expect(engine.stateFloor == engine.position)
  }

  @Test("a damaged state is refused and the patient starts afresh")
  func damagedState() throws {
    let strip = Strip(try Shipped.ward()).feed("0..100: spo2=85 hr=150 resp=30")
    let number = strip.engine.patientNumbers[0]
    let bytes = try #require(strip.engine.encodeState(of: number)).bytes
    var generator = SeededGenerator(seed: 9)
    let blank = try EngineReplayTests.engine(strip, .stream)
    _ = blank.placeOf(number)
    for length in [0, 1, 5, bytes.count / 2, bytes.count - 1] {
      let copy = try EngineReplayTests.engine(strip, .stream)
      #expect(throws: (any Error).self) {
        try copy.restoreState(of: number, position: 1, bytes: Array(bytes.prefix(length)))
      }
      #expect(copy.allStates == blank.allStates)
    }
    #expect(throws: Engine.StateError.unknownVersion(99)) {
      try strip.engine.restoreState(of: number, position: 1, bytes: [99] + bytes.dropFirst())
    }
    // One engine for all: each state, sound or not, takes the place of the one before.
    let copy = try EngineReplayTests.engine(strip, .stream)
    for _ in 0..<300 {
      var damaged = bytes
      for _ in 0..<3 {
        damaged[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
      }
      try? copy.restoreState(of: number, position: 1, bytes: damaged)
    }
    try copy.restoreState(of: number, position: 1, bytes: bytes)
    #expect(copy.encodeState(of: number)?.bytes == bytes)
  }
}
