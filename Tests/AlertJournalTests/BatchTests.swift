import Digests
import Pipeline
import Testing
import VitalModel

@testable import AlertJournal

@Suite struct BatchTests {
  /// A slot in which each field is the same as before, near, or anything at all.
  private func slot(after old: Slot, _ random: inout SplitMix64) -> Slot {
    var slot = old
    if random.one(in: 3) { slot.kindRaw = random.integer() }
    if random.one(in: 3) { slot.statusRaw = random.integer() }
    if random.one(in: 3) { slot.flags = SampleFlags(rawValue: random.integer()) }
    if random.one(in: 3) { slot.code = VitalCode(index: random.integer()) }
    if random.one(in: 3) { slot.unit = random.integer() }
    if random.one(in: 3) { slot.exponent = random.integer() }
    if random.one(in: 3) { slot.device = random.integer() }
    if random.one(in: 3) { slot.patient = random.integer() }
    if random.one(in: 3) { slot.series = random.integer() }
    if random.one(in: 3) { slot.source = random.integer() }
    if random.one(in: 3) { slot.quality = SampleQuality(raw: random.integer()) }
    if random.one(in: 3) { slot.eventTime = random.integer() }
    if random.one(in: 3) { slot.ingestTime = random.integer() }
    if random.one(in: 3) { slot.mantissa = random.integer() }
    if random.one(in: 3) { slot.deviceSequence = random.integer() }
    return slot
  }

  private func entry(_ random: inout SplitMix64) -> DirectoryEntry {
    let text = String(repeating: "é/\u{0}", count: Int(random.next() % 4))
    switch random.next() % 5 {
    case 0: return .source(number: random.integer(), text: text)
    case 1: return .device(number: random.integer(), tenant: "north", device: text)
    case 2: return .patient(number: random.integer(), tenant: text, patient: "p")
    case 3:
      return .series(
        number: random.integer(), patient: random.integer(), code: VitalCode(index: random.integer()),
        device: random.integer(), source: random.integer())
    default: return .clockOffset(device: random.integer(), milliseconds: random.integer())
    }
  }

  private func records(_ count: Int, from first: UInt64, _ random: inout SplitMix64) -> [JournalRecord] {
    var position = first
    var last = Slot()
    var records: [JournalRecord] = []
    for index in 0..<count {
      if index > 0, random.one(in: 5) {
        records.append(.directory(entry(&random)))
        continue
      }
      last = slot(after: last, &random)
      last.payload = position
      position += 1
      if random.one(in: 8) {
        let kinds = JournalTextKind.allCases
        let text = random.bytes(Int(random.next() % 300))
        records.append(.text(last, kinds[Int(random.next() % UInt64(kinds.count))], text))
      } else {
        records.append(.slot(last))
      }
    }
    return records
  }

  private func expectEqual(_ a: JournalRecord, _ b: JournalRecord) {
    switch (a, b) {
    case (.slot(let a), .slot(let b)): #expect(same(a, b))
    case (.directory(let a), .directory(let b)): #expect(a == b)
    case (.text(let a, let kindA, let textA), .text(let b, let kindB, let textB)):
      #expect(same(a, b) && kindA == kindB && textA == textB)
    default: Issue.record("records of different kinds")
    }
  }

  @Test(arguments: [1, 2, 3, 17, 400, 5000]) func anyRecordsComeBackAsTheyWere(count: Int) throws {
    var random = SplitMix64(state: UInt64(count))
    var encoder = JournalBatchEncoder()
    let decoder = JournalBatchDecoder()
    // The encoder is reused: nothing of one batch may show in the next.
    for first in [1, 900, UInt64.max - 10_000] {
      let records = records(count, from: first, &random)
      for record in records { try encoder.append(record) }
      let batch = encoder.finish(partitions: 0xF00F)
      var decoded: [JournalRecord] = []
      let header = try decoder.decode(batch.bytes) { decoded.append($0) }
      #expect(header == batch.header)
      #expect(header.first == first && header.partitions == 0xF00F && header.records == count)
      try #require(decoded.count == records.count)
      for (a, b) in zip(records, decoded) { expectEqual(a, b) }
      let left = encoder.count
      #expect(left == 0)
    }
  }

  @Test func theHeaderSaysWhatIsInside() throws {
    var encoder = JournalBatchEncoder()
    var slots = samples(41...45)
    slots[2].ingestTime = 5
    slots[4].ingestTime = 1_900_000_000_000
    encoder.append(.device(number: 3, tenant: "t", device: "d"))
    let isEmpty = encoder.isEmpty
    #expect(isEmpty, "an entry alone is not a batch")
    for slot in slots { encoder.append(slot) }
    let header = try JournalBatchHeader(encoder.finish(partitions: 1 << 63).bytes[...])
    #expect(header.first == 41 && header.last == 45 && header.records == 6)
    #expect(header.ingestTimes == 5...1_900_000_000_000)
    #expect(header.partitions == 1 << 63)
  }

  @Test func aLikelyBatchIsPackedSmall() throws {
    var encoder = JournalBatchEncoder()
    for slot in samples(1...4096) { encoder.append(slot) }
    let batch = encoder.finish(partitions: 1)
    #expect(batch.header.isPacked)
    #expect(batch.bytes.count < 4096 * 6)
  }

  /// The bytes of a small batch: a change here is a change of the format, and needs a new version.
  @Test func goldenBytes() throws {
    var encoder = JournalBatchEncoder()
    encoder.append(.device(number: 3, tenant: "t", device: "d1"))
    for slot in samples(9...10) { encoder.append(slot) }
    let bytes = encoder.finish(partitions: 2).bytes
    #expect(hex(bytes) == golden)
    var slots: [Slot] = []
    try JournalBatchDecoder().decode(bytes) { record in
      if case .slot(let slot) = record { slots.append(slot) }
    }
    #expect(zip(slots, samples(9...10)).allSatisfy(same) && slots.count == 2)
  }
  private let golden =
    "01000000" + "03000000" + "0900000000000000" + "0a00000000000000" + "a08156eea1010000" + "888556eea1010000"
    + "0200000000000000" + "2f000000"
    // Directory entry: device 3 of tenant t is d1.
    + "0240" + "03" + "0174" + "026431"
    // A whole slot, then the one that differs in code, series, times, mantissa and device sequence.
    + "f73c" + "0100" + "6000" + "0100" + "ff" + "08" + "10" + "04" + "d084b4e5bd68" + "c086b4e5bd68" + "980f" + "12"
    + "843c" + "0200" + "02" + "d00f" + "d00f" + "9a0f" + "02" + "744ec291"

  // MARK: Damage

  @Test func anyChangedByteIsNoticed() throws {
    var encoder = JournalBatchEncoder()
    for slot in samples(1...5) { encoder.append(slot) }
    let bytes = encoder.finish(partitions: 1).bytes
    let decoder = JournalBatchDecoder()
    for index in bytes.indices {
      for bit in 0..<8 {
        var damaged = bytes
        damaged[index] ^= 1 << bit
        #expect(throws: Damage.checksum) {
          try decoder.decode(damaged) { _ in Issue.record("a record of a damaged batch") }
        }
      }
    }
    for count in bytes.indices {
      #expect(throws: Damage.self) { try decoder.decode(Array(bytes.prefix(count))) { _ in } }
    }
  }

  /// Garbage with a right checksum: an error or some records, never a trap and never a position outside the header's.
  @Test func resealedGarbageNeverTraps() throws {
    var random = SplitMix64(state: 77)
    var encoder = JournalBatchEncoder()
    let decoder = JournalBatchDecoder()
    var refused = 0
    for round in 0..<20_000 {
      for record in records(1 + round % 12, from: 1 + random.next() % 100, &random) { try encoder.append(record) }
      var bytes = encoder.finish(partitions: 1).bytes
      for _ in 0...(random.next() % 4) {
        let at = Int(random.next() % UInt64(bytes.count - 4))
        // The version stays, so that what is behind it gets looked at.
        bytes[max(1, at)] = random.integer()
      }
      if random.one(in: 4) { bytes.removeSubrange((bytes.count - 5)..<(bytes.count - 4)) }
      reseal(&bytes)
      do {
        try decoder.decode(bytes) { record in
          if case .slot(let slot) = record { #expect(slot.payload >= 1) }
        }
      } catch {
        refused += 1
      }
    }
    #expect(refused > 5000)
  }

  @Test func aLaterVersionIsNamed() throws {
    var encoder = JournalBatchEncoder()
    for slot in samples(1...2) { encoder.append(slot) }
    var bytes = encoder.finish(partitions: 1).bytes
    bytes[0] = 2
    reseal(&bytes)
    #expect(throws: Damage.laterVersion(2)) { try JournalBatchDecoder().decode(bytes) { _ in } }
  }

  @Test func aTextThatIsTooLongIsRefused() throws {
    var encoder = JournalBatchEncoder()
    let text = [UInt8](repeating: 0, count: JournalBatchEncoder.textBytesMax + 1)
    let slot = try #require(samples(1...1).first)
    var refusal: JournalError?
    do throws(JournalError) { try encoder.append(slot, kind: .wave, text: text) } catch { refusal = error }
    #expect(refusal == .tooLong(bytes: text.count, limit: text.count - 1))
    encoder.append(slot)
    let count = encoder.count
    #expect(count == 1)
  }
}
