import ChunkCoding
import Testing
import VitalModel

@Suite struct PlainCodecTests {
  @Test(arguments: 0..<60) func roundTrips(seed: Int) throws {
    var generator = SplitMix64(state: UInt64(seed) &* 77)
    let slots = randomSlots(&generator, messages: 1 + generator.below(300), wild: seed % 3 == 0)
    guard !slots.isEmpty else { return }
    let rows = rows(of: slots)
    let codec = try PlainCodec()
    let bytes = try codec.encode(rows)
    #expect(try codec.decode(bytes) == rows)
    #expect(try codec.encode(rows) == bytes)
    let header = try bytes.withUnsafeBytes { try ChunkHeader($0, checksum: true) }
    #expect(header.rowCount == rows.times.count && header.cellCount == slots.count)
    #expect(header.firstTime == rows.times.first && header.lastTime == rows.times.last)
    for (summary, column) in zip(header.columns, rows.columns) {
      #expect(summary.figures == ColumnFigures(column.cells))
      #expect(summary.lastTime == column.rows.last.map { rows.times[Int($0)] })
    }
  }

  @Test func splitsByTimeWithoutLoss() throws {
    var generator = SplitMix64(state: 3)
    var slots = randomSlots(&generator, messages: 60, wild: false)
    for index in slots.indices where index % 3 == 0 { slots[index].eventTime -= 86_400_000 * Int64(index % 5) }
    let rows = rows(of: slots)
    let pieces = rows.split(spanMax: 3_600_000)
    #expect(pieces.count > 3)
    #expect(pieces.allSatisfy { $0.isWellFormed && $0.times[$0.times.count - 1] - $0.times[0] <= 3_600_000 })
    #expect(pieces.flatMap(\.times) == rows.times)
    #expect(Set(pieces.flatMap(\.facts)) == Set(rows.facts))
    #expect(rows.split(spanMax: .max) == [rows])
  }

  @Test func figuresAreInTheSmallestExponent() {
    let cells = [(369, -1), (37, 0), (3705, -2)].map {
      ChunkCell(value: DecimalValue(mantissa: Int64($0.0), exponent: Int8($0.1)))
    }
    let figures = ColumnFigures(cells)
    #expect(figures?.exponent == -2 && figures?.min == 3690 && figures?.max == 3705)
    #expect(figures?.sum == 11_095 && figures?.first == 3690 && figures?.last == 3705)
    #expect(ColumnFigures([ChunkCell(value: DecimalValue(mantissa: .max, exponent: 0)), cells[0]]) == nil)
    #expect(ColumnFigures([]) == nil)
  }

  @Test func refusesRowsThatAreNone() throws {
    let codec = try PlainCodec()
    let cell = ChunkCell(value: DecimalValue(mantissa: 1))
    let column = ChunkColumn(code: VitalCode(index: 0), unit: 0, source: 0)
    func attempt(_ times: [Int64], _ rows: [UInt32], positions: (UInt64, UInt64) = (0, 0)) -> ChunkError? {
      let chunk = ChunkRows(
        patient: 1, device: 1, firstPosition: positions.0, lastPosition: positions.1, times: times,
        columns: [ChunkColumnCells(column, rows: rows, cells: rows.map { _ in cell })])
      do throws(ChunkError) { _ = try codec.encode(chunk) } catch { return error }
      return nil
    }
    #expect(attempt([1, 2], [0, 1]) == nil)
    #expect(attempt([], []) == .notWellFormed)
    #expect(attempt([2, 1], [0, 1]) == .notWellFormed)
    #expect(attempt([1, 2], [0, 2]) == .notWellFormed)
    #expect(attempt([1, 2], [1, 1]) == .notWellFormed)
    #expect(attempt([1, 2], [0, 1], positions: (2, 1)) == .notWellFormed)
  }

  @Test func saysWhatIsWrongWithBytes() throws {
    let codec = try PlainCodec()
    let decoder = try ChunkDecoder()
    let good = try codec.encode(rows(of: [sampleSlot(code: 0, time: 1000, mantissa: 70)]))
    #expect(throws: ChunkError.truncated) { try codec.decode([1, 1, 0]) }
    var bad = good
    bad[8] ^= 1
    #expect(throws: ChunkError.checksum) { try codec.decode(bad) }
    #expect(throws: ChunkError.checksum) { try codec.decode(Array(good.dropLast())) }
    #expect(throws: ChunkError.unknownVersion(3)) { try codec.decode([3] + good.dropFirst()) }
    #expect(throws: ChunkError.unknownCodec(9)) { try codec.decode(resealed([1, 9] + good.dropFirst(2))) }
    #expect(throws: ChunkError.unknownCodec(9)) {
      try resealed([1, 9] + good.dropFirst(2)).withUnsafeBytes { try decoder.decode($0) }
    }
    #expect(throws: ChunkError.corrupt("bytes after the last column")) {
      try codec.decode(resealed(Array(good.dropLast(4)) + [0, 0, 0, 0, 0]))
    }
  }

  /// Bytes with a checksum that fits, so that damage reaches the decoder proper.
  func resealed(_ bytes: [UInt8]) -> [UInt8] {
    let content = Array(bytes.dropLast(4))
    return content + withUnsafeBytes(of: crc32c(content).littleEndian) { Array($0) }
  }

  /// CRC-32C bit by bit: an oracle of its own for the product's.
  func crc32c(_ bytes: [UInt8]) -> UInt32 {
    var crc = UInt32.max
    for byte in bytes {
      crc ^= UInt32(byte)
      for _ in 0..<8 { crc = (crc & 1) == 1 ? (crc >> 1) ^ 0x82F6_3B78 : crc >> 1 }
    }
    return ~crc
  }

  /// Nothing in the bytes makes the decoder trap: damage behind a fitting checksum, cut ends, noise. Run with a sanitizer
  /// it also proves the bounds.
  @Test(arguments: 0..<8) func survivesHostileBytes(seed: Int) throws {
    var generator = SplitMix64(state: UInt64(seed) &+ 99)
    let codec = try PlainCodec()
    for round in 0..<250 {
      // Few messages stay unpacked by zstd, so that damage reaches the columns.
      let slots = randomSlots(&generator, messages: 1 + generator.below(round % 2 == 0 ? 3 : 60), wild: true)
      guard !slots.isEmpty else { continue }
      var bytes = try codec.encode(rows(of: slots))
      for _ in 0...generator.below(6) {
        bytes[generator.below(bytes.count)] = UInt8(truncatingIfNeeded: generator.next())
      }
      if generator.chance(20) { bytes.removeLast(generator.below(bytes.count)) }
      if bytes.count > 4, generator.chance(90) { bytes = resealed(bytes) }
      do throws(ChunkError) {
        let rows = try codec.decode(bytes)
        #expect(rows.isWellFormed)
      } catch {
        _ = error.description
      }
    }
  }

  /// One small chunk to the byte, as drawn in `docs/formats/chunk.md`: files of this version must stay readable.
  @Test func goldenChunk() throws {
    let slots = [
      sampleSlot(code: 0, time: 1_700_000_000_000, mantissa: 72, sequence: 5),
      sampleSlot(code: 1, time: 1_700_000_000_000, mantissa: 365, exponent: -1, sequence: 5, flags: .endOfMessage),
      sampleSlot(code: 0, time: 1_700_000_001_000, mantissa: 74, sequence: 6),
      sampleSlot(code: 0, time: 1_700_000_002_000, mantissa: 73, sequence: 7, quality: 9_000),
    ]
    let codec = try PlainCodec()
    let golden =
      "01 01 07 09 00 03 80 a0 ab fe f9 62 d0 0f ac 02 03 02 00 00 00 03 00 00 90 01 02 b6 03 00 01 01 "
      + "00 00 01 d0 0f ff da 05 00 da 05 00 00 00 01 d0 0f 00 01 0a 02 02 01 50 00 00 00 00 02 00 01 01 "
      + "90 01 04 01 01 ff ff 03 ff ff 03 a8 46 00 02 00 00 02 40 01 00 01 ff 01 01 01 da 05 01 ff ff 03 "
      + "01 00 01 60 3e 11 fb 1e"
    let bytes = try codec.encode(rows(of: slots, firstPosition: 300))
    #expect(hex(bytes) == golden)
    #expect(try codec.decode(unhex(golden)) == rows(of: slots, firstPosition: 300))
  }

  func hex(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
  }
  func unhex(_ text: String) -> [UInt8] { text.split(separator: " ").compactMap { UInt8($0, radix: 16) } }

  @Test func positionRecords() throws {
    let bytes = PositionRecord.encode(0x0102_0304)
    #expect(bytes.count == 13)
    #expect(hex(PositionRecord.encode(304)) == "01 30 01 00 00 00 00 00 00 0e fe ae ae")
    #expect(try bytes.withUnsafeBytes { try PositionRecord.decode($0) } == 0x0102_0304)
    for index in bytes.indices {
      var bad = bytes
      bad[index] ^= 0x10
      #expect(throws: ChunkError.self) { try bad.withUnsafeBytes { try PositionRecord.decode($0) } }
    }
    #expect(throws: ChunkError.truncated) { try PositionRecord.decode(UnsafeRawBufferPointer(start: nil, count: 0)) }
  }
}
