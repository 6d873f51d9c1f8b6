import ChunkCoding
import KeyValueStore
import SeriesStore
import TestSupport
import Testing
import VitalModel

/// Start states learned from people's samples, checked on people held out, and kept by a store.
@Suite struct StatesShelfTests {
  private static let keys = ["hr", "spo2"]

  private func store(_ folder: TemporaryDirectory) throws -> Store {
    try Store.open(path: folder.file("store"), families: [FamilySpec(StatesShelf.familyName)])
  }

  /// Heart rates that wander by at most one, with stamps in whole seconds.
  private func teach(_ lessons: CodecLessons, people: [String], seed: UInt64) throws {
    for (number, name) in people.enumerated() {
      var random = SeededGenerator(seed: seed &+ UInt64(number))
      var rate: Int64 = 72
      for second in 0..<800 {
        rate += Int64(random.next() % 3) - 1
        var slot = Slot()
        slot.kind = .sample
        slot.patient = UInt32(number)
        slot.device = UInt32(number)
        slot.code = VitalCode(index: 0)
        slot.value = DecimalValue(mantissa: rate)
        slot.eventTime = 1_577_836_800_000 + Int64(second) * 1000
        slot.ingestTime = slot.eventTime
        try lessons.add(slot, patient: name)
      }
    }
    try lessons.end()
  }

  private func learned(_ people: [String], id: UInt32 = 1000) throws -> StartStates {
    let lessons = CodecLessons()
    try lessons.begin(keys: StatesShelfTests.keys)
    try teach(lessons, people: people, seed: 7)
    return try #require(try lessons.finish(id: id))
  }

  /// Names of which every fifth or so is held out.
  private let people = (0..<10).map { "p\($0)" }

  @Test func onePersonInFiveIsHeldOutAlways() {
    // Part of what `codec install` checks by: these may never change.
    #expect((0..<20).filter { CodecLessons.isHeldOut("p\($0)") } == [3, 5, 14, 19])
  }

  @Test func whoIsHeldOutTeachesNothing() throws {
    let held = people.filter(CodecLessons.isHeldOut)
    #expect(!held.isEmpty)
    let lessons = CodecLessons()
    try lessons.begin(keys: StatesShelfTests.keys)
    // First those who teach, so that their numbers and noise are the same with and without the others.
    let order = people.filter { !held.contains($0) } + held
    try teach(lessons, people: order, seed: 7)
    #expect(lessons.samples == (order.count - held.count) * 800)
    #expect(lessons.heldOutSamples == held.count * 800)
    #expect(try lessons.finish(id: 1000)?.bytes == learned(order.filter { !held.contains($0) }).bytes)
  }

  @Test func whatIsLearnedSavesOnOthers() throws {
    let states = try learned(people)
    let lessons = CodecLessons(learns: false)
    try lessons.begin(keys: StatesShelfTests.keys)
    try teach(lessons, people: people, seed: 99)
    let check = try lessons.check(states, against: .untrained)
    #expect(check.samples == lessons.heldOutSamples && check.samples > 0)
    #expect(check.saving > CodecLessons.savingMin, "\(check)")
    #expect(try lessons.check(.untrained, against: states).saving < 0)
    #expect(try lessons.check(states, against: states).saving == 0)
  }

  @Test func aSetIsKeptAsItIsAndKeepsItsNumber() throws {
    let folder = try TemporaryDirectory("states")
    let store = try store(folder)
    defer { store.close() }
    let shelf = try StatesShelf(store)
    let first = try learned(people)
    let second = try learned(Array(people.dropLast(4)), id: 1001)
    let rival = try learned(Array(people.dropLast(4)), id: 1000)
    for (set, outcome) in [
      (second, StatesShelf.Outcome.added), (first, .added), (first, .isThere), (rival, .numberIsTaken),
    ] {
      let batch = WriteBatch(for: store)
      #expect(try shelf.put(set, in: batch) == outcome)
      try store.write(batch, sync: false)
    }
    #expect(try shelf.installed().map(\.bytes) == [first.bytes, second.bytes])
  }

  @Test func aDamagedSetIsAnErrorAndNoSilence() throws {
    let folder = try TemporaryDirectory("states")
    let store = try store(folder)
    defer { store.close() }
    let batch = WriteBatch(for: store)
    var bytes = try learned(people).bytes
    bytes[bytes.count / 2] ^= 1
    batch.put(try store.family(StatesShelf.familyName), key: [0, 0, 3, 232], value: bytes)
    try store.write(batch, sync: false)
    let shelf = try StatesShelf(store)
    #expect(throws: SeriesError.self) { try shelf.installed() }
  }
}
