import KeyValueStore
import Pipeline
import Testing
import VitalModel

@testable import AlertJournal

@Suite struct JournalTests {
  @Test func anEmptyJournalHasNoPositions() throws {
    let open = try OpenStore()
    defer { open.store.close() }
    #expect(try open.store.journal.firstPosition() == nil)
    #expect(try open.store.journal.lastPosition() == nil)
    #expect(try positions(open.store.journal, from: 1) == [])
  }

  @Test func readingBeginsAndEndsInsideBatches() throws {
    var open = try OpenStore()
    for first in stride(from: UInt64(1), to: 50, by: 7) { try open.append(samples(first...(first + 6))) }
    try open.restart()
    defer { open.store.close() }
    let journal = open.store.journal
    #expect(try journal.firstPosition() == 1 && journal.lastPosition() == 49)
    for start in UInt64(0)...51 {
      for end in [nil, 1, 7, 8, 30, 49, 60, UInt64.max] {
        let expected = Array(UInt64(1)...49).filter { $0 >= start && $0 <= end ?? .max }
        #expect(try positions(journal, from: start, upTo: end) == expected)
      }
    }
  }

  @Test func aDamagedBatchIsReportedWithItsPosition() throws {
    let open = try OpenStore()
    defer { open.store.close() }
    for first: UInt64 in [1, 11, 21] { try open.append(samples(first...(first + 9))) }
    let journal = open.store.journal
    let key = Journal.key(11)
    var value = try #require(try open.store.store.get(open.store.families.journal, key: key))
    value[60] ^= 1
    try open.overwrite(open.store.families.journal, key, with: value)
    let error = JournalError.damaged(family: "journal", position: 11, .checksum)
    #expect(throws: error) { try positions(journal, from: 1) }
    #expect("\(error)" == "journal value 11 is unusable: the checksum does not match")
    var reported: [JournalError] = []
    var found: [UInt64] = []
    try journal.read(from: 1, onDamage: { reported.append($0) }) { record in
      if case .slot(let slot) = record { found.append(slot.payload) }
    }
    #expect(reported == [error])
    #expect(found == Array(1...10) + Array(21...30))
  }

  @Test func aMissingBatchIsAGap() throws {
    let open = try OpenStore()
    defer { open.store.close() }
    for first: UInt64 in [1, 11, 21] { try open.append(samples(first...(first + 9))) }
    let batch = open.store.makeBatch()
    batch.delete(open.store.families.journal, key: Journal.key(11))
    try open.store.write(batch, sync: false)
    #expect(throws: JournalError.damaged(family: "journal", position: 11, .missing(through: 20))) {
      try positions(open.store.journal, from: 1)
    }
  }

  @Test func aBatchUnderAnotherKeyIsDamage() throws {
    let open = try OpenStore()
    defer { open.store.close() }
    try open.append(samples(1...10))
    let value = try #require(try open.store.store.get(open.store.families.journal, key: Journal.key(1)))
    try open.overwrite(open.store.families.journal, Journal.key(11), with: value)
    #expect(throws: JournalError.damaged(family: "journal", position: 11, .key)) {
      try positions(open.store.journal, from: 1)
    }
  }

  // MARK: Retention

  @Test func trimmingByTimeNeverReachesTheFloor() throws {
    let open = try OpenStore()
    defer { open.store.close() }
    for first: UInt64 in [1, 11, 21, 31] { try open.append(samples(first...(first + 9), ingestMs: Int64(first))) }
    let journal = open.store.journal
    #expect(try journal.trim(olderThan: 0, keepFrom: .max).batches == 0)
    // Old enough, but the second batch holds the floor.
    #expect(try journal.trim(olderThan: .max, keepFrom: 15).firstPosition == 11)
    #expect(try journal.trim(olderThan: .max, keepFrom: 20).batches == 0)
    // Below the floor, but too young from the third batch on.
    let trimmed = try journal.trim(olderThan: 21, keepFrom: 40)
    #expect(trimmed.batches == 1 && trimmed.firstPosition == 21)
    // The newest stays whatever is asked.
    #expect(try journal.trim(olderThan: .max, keepFrom: .max).firstPosition == 31)
    #expect(try journal.trim(olderThan: .max, keepFrom: .max).batches == 0)
    #expect(try positions(journal, from: 1) == Array(31...40))
  }

  @Test func trimmingBySizeDropsTheOldest() throws {
    let open = try OpenStore()
    defer { open.store.close() }
    var random = SplitMix64(state: 4)
    var encoder = JournalBatchEncoder()
    for first: UInt64 in 1...40 {
      let slot = samples(first...first)[0]
      try encoder.append(slot, kind: .wave, text: random.bytes(100_000))
      let batch = open.store.makeBatch()
      try open.store.journal.append(encoder.finish(partitions: 1), to: batch)
      try open.store.write(batch, sync: false)
    }
    let journal = open.store.journal
    #expect(try journal.trim(olderThan: .min, maxBytes: 100_000_000, keepFrom: .max).batches == 0)
    try open.store.store.flush()
    #expect(try journal.byteSize() > 3_900_000)
    let trimmed = try journal.trim(olderThan: .min, maxBytes: 2_000_000, keepFrom: 12)
    #expect(trimmed.firstPosition == 12, "the floor holds against the size too")
    let more = try journal.trim(olderThan: .min, maxBytes: 2_000_000, keepFrom: .max)
    let first = try #require(more.firstPosition)
    #expect((18...24).contains(first))
    #expect(try positions(journal, from: 1).isEmpty, "texts are not slots")
  }

  // MARK: Registry

  @Test func aRestartNeedsNotTheJournalForNames() throws {
    var open = try OpenStore()
    let registry = testRegistry()
    let directory = Directory(registry: registry)
    for number in 0..<300 {
      let source = directory.source("source\(number % 9)")
      let device = directory.device(tenant: "north", device: "device\(number)")
      let patient = directory.patient(tenant: "north", patient: "patient\(number % 70)")
      _ = directory.series(patient: patient, code: VitalCode(index: UInt16(number % 5)), device: device, source: source)
    }
    directory.setClockOffset(device: 4, milliseconds: -3_600_000)
    let entries = directory.takePending()
    try open.append(samples(1...3), entries: entries)
    try open.restart()
    defer { open.store.close() }
    let restored = Directory(registry: registry)
    try open.store.registry.restore(into: restored)
    #expect(restored.counts == directory.counts)
    #expect(restored.clockOffset(4) == -3_600_000)
    #expect(restored.takePending().isEmpty)
    for number in UInt32(0)..<300 {
      #expect(restored.deviceKey(number) == directory.deviceKey(number))
      #expect(restored.patientKey(number) == directory.patientKey(number))
      #expect(restored.seriesKey(number) == directory.seriesKey(number))
      #expect(restored.sourceName(UInt16(number)) == directory.sourceName(UInt16(number)))
    }
    // The journal alone would do too.
    let replayed = Directory(registry: registry)
    try open.store.journal.read(from: 1) { record in
      if case .directory(let entry) = record { #expect(replayed.restore(entry)) }
    }
    #expect(replayed.counts == directory.counts)
  }

  @Test func aGapInTheNumbersIsDamage() throws {
    let open = try OpenStore()
    defer { open.store.close() }
    try open.append(samples(1...1), entries: [.device(number: 1, tenant: "t", device: "d")])
    #expect(throws: JournalError.self) { try open.store.registry.restore(into: Directory(registry: testRegistry())) }
  }

  @Test func textsAreFoundByThePositionTheyWereInForceAt() throws {
    let open = try OpenStore()
    defer { open.store.close() }
    var encoder = JournalBatchEncoder()
    for slot in samples(1...40) {
      switch slot.payload {
      case 5, 15, 25: try encoder.append(slot, kind: .rules, text: Array("rules \(slot.payload)".utf8))
      case 10: try encoder.append(slot, kind: .roster, text: Array("roster".utf8))
      case 12: try encoder.append(slot, kind: .deviceEvent, text: Array("alarm".utf8))
      default: encoder.append(slot)
      }
    }
    let encoded = encoder.finish(partitions: 1)
    #expect(encoded.texts.count == 4)
    let batch = open.store.makeBatch()
    try open.store.journal.append(encoded, to: batch)
    try open.store.write(batch, sync: false)
    let registry = open.store.registry
    #expect(try registry.latestText(.rules, atOrBefore: 4) == nil)
    #expect(try registry.latestText(.rules, atOrBefore: 5)?.position == 5)
    #expect(try registry.latestText(.rules, atOrBefore: 24)?.bytes == Array("rules 15".utf8))
    #expect(try registry.latestText(.rules)?.position == 25)
    #expect(try registry.latestText(.roster)?.position == 10)
    #expect(try registry.latestText(.options) == nil && registry.latestText(.deviceEvent) == nil)
    batch.clear()
    try registry.trimTexts(keepFrom: 20, in: batch)
    try open.store.write(batch, sync: false)
    // Rules stay to go back to, however old.
    #expect(try registry.texts(.rules).map(\.position) == [5, 15, 25])
    batch.clear()
    try registry.trimTexts(keepFrom: 20, rulesKept: 1, in: batch)
    try open.store.write(batch, sync: false)
    #expect(try registry.texts(.rules).map(\.position) == [15, 25])
    #expect(try registry.texts(.roster).map(\.position) == [10])
  }

  @Test func countersComeBack() throws {
    var open = try OpenStore()
    #expect(try open.store.registry.counters() == JournalCounters())
    var counters = JournalCounters()
    (counters.received, counters.stored, counters.duplicates) = (.max, 2, 3)
    counters[.malformed] = 5
    counters[.impossibleTime] = 6
    let batch = open.store.makeBatch()
    open.store.registry.put(counters, in: batch)
    try open.store.write(batch, sync: true)
    try open.restart()
    defer { open.store.close() }
    #expect(try open.store.registry.counters() == counters)
    #expect(counters.quarantined == 11)
  }
}

func testRegistry() -> VitalRegistry { VitalRegistry([]) }
