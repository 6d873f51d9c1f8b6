import ChunkCoding
import Glibc
import Testing
import VitalModel

@Suite struct ModelledCodecTests {
  static func vital(_ code: VitalCode) -> String? {
    let keys = ["hr", "spo2", "temp", "resp", "sbp"]
    return keys.indices.contains(Int(code.index)) ? keys[Int(code.index)] : nil
  }

  /// Both codecs give back what they were given, to the last mark, and headers say the same.
  private func check(_ rows: ChunkRows, _ codec: ModelledCodec, _ plain: PlainCodec, _ decoder: ChunkDecoder) throws {
    let bytes = try codec.encode(rows)
    let oracle = try plain.encode(rows)
    #expect(try bytes.withUnsafeBytes { try decoder.decode($0) } == rows)
    #expect(try oracle.withUnsafeBytes { try decoder.decode($0) } == rows)
    #expect(try codec.encode(rows) == bytes)
    #expect(codec.sizes.total == bytes.count)
    let header = try bytes.withUnsafeBytes { try ChunkHeader($0, checksum: true) }
    let expected = try oracle.withUnsafeBytes { try ChunkHeader($0, checksum: true) }
    #expect(header.columns == expected.columns)
    #expect(header.patient == rows.patient && header.device == rows.device && header.group == rows.group)
    #expect(header.firstPosition == rows.firstPosition && header.lastPosition == rows.lastPosition)
    #expect(header.firstTime == rows.times.first && header.lastTime == rows.times.last)
    try checkFlat(rows, bytes, decoder)
  }

  private func checkFlat(_ rows: ChunkRows, _ bytes: [UInt8], _ decoder: ChunkDecoder) throws {
    var flat = DecodedChunk()
    let wanted = Set(rows.columns.indices.filter { $0 % 2 == 1 })
    for only in [nil, wanted] {
      try bytes.withUnsafeBytes { try decoder.decode($0, into: &flat, only: only) }
      #expect(flat.times == rows.times && flat.columns.count == rows.columns.count)
      for (index, (column, source)) in zip(flat.columns, rows.columns).enumerated() {
        #expect(column.column == source.column && column.cellCount == source.cells.count)
        #expect(column.isDecoded == (only?.contains(index) ?? true))
        guard column.isDecoded else { continue }
        #expect(source.cells.indices.map(column.value) == source.cells.map(\.value))
        #expect(source.cells.indices.map { UInt32(column.row($0)) } == source.rows)
      }
    }
  }

  @Test(arguments: 0..<24) func roundTripsWhatDevicesSend(seed: Int) throws {
    var generator = SplitMix64(state: UInt64(seed) &* 77)
    let codec = try ModelledCodec(states: seed % 2 == 0 ? .builtIn : .untrained, names: ModelledCodecTests.vital)
    let slots = randomSlots(&generator, messages: 1 + generator.below(80), wild: seed % 3 == 0)
    guard !slots.isEmpty else { return }
    try check(rows(of: slots), codec, try PlainCodec(), try ChunkDecoder())
  }

  /// The series of the suite; many more with `VIGIL_SERIES=10000000 swift test -c release --filter roundTripsAwkwardRows`.
  @Test func roundTripsAwkwardRows() throws {
    let wanted = getenv("VIGIL_SERIES").flatMap { Int(String(cString: $0)) }
    let codec = try ModelledCodec(states: .builtIn, names: ModelledCodecTests.vital)
    let plain = try PlainCodec()
    let decoder = try ChunkDecoder()
    var series = 0
    var seed: UInt64 = 1
    while series < wanted ?? 600 {
      var generator = SplitMix64(state: seed)
      let rows = adversarialRows(&generator, rowsMax: seed % 64 == 0 ? 300 : 24)
      do {
        try check(rows, codec, plain, decoder)
      } catch {
        Issue.record("seed \(seed): \(error)")
        return
      }
      series += rows.columns.count
      seed += 1
      if wanted != nil, seed % 100_000 == 0 { print("\(series) series, seed \(seed)") }
    }
    print("round trips: \(series) series in \(seed - 1) chunks")
  }

  @Test func roundTripsTheLongestChunk() throws {
    var rows = ChunkRows(patient: 1, device: 2)
    rows.times = (0..<Int64(ChunkLimits.rowsMax)).map { $0 * 1000 }
    let cells = rows.times.indices.map { ChunkCell(value: DecimalValue(mantissa: Int64($0 / 4096))) }
    rows.columns = [
      ChunkColumnCells(
        ChunkColumn(code: VitalCode(index: 0), unit: 0, source: 0), rows: (0..<UInt32(rows.times.count)).map { $0 },
        cells: cells)
    ]
    let bytes = try ModelledCodec(states: .untrained, names: { _ in nil }).encode(rows)
    #expect(bytes[1] == ModelledCodec.id && bytes.count < 1000, "\(bytes.count)")
    let back = try bytes.withUnsafeBytes { try ChunkDecoder().decode($0) }
    // Compared without `#expect`'s description of a difference, which would be 65,536 rows long.
    #expect((back == rows) as Bool)
  }

  @Test func headerOfFourFullColumnsTakesFewBytes() throws {
    let rows = steadyRows(600)
    let codec = try ModelledCodec(states: .builtIn, names: ModelledCodecTests.vital)
    let bytes = try codec.encode(rows)
    #expect(bytes[0] == 2 && bytes[1] == 2)
    #expect(codec.sizes.header <= 48, "\(codec.sizes)")
    #expect(codec.sizes.total < (try PlainCodec().encode(rows).count) * 2 / 3, "\(codec.sizes)")
  }

  /// Noise has no shorter form than itself: the plain codec packs it.
  @Test func leavesNoiseToThePlainCodec() throws {
    var generator = SplitMix64(state: 5)
    var rows = steadyRows(64)
    for column in rows.columns.indices {
      for index in rows.columns[column].cells.indices {
        rows.columns[column].cells[index].mantissa = Int64(bitPattern: generator.next())
        rows.columns[column].cells[index].exponent = Int8(truncatingIfNeeded: generator.next())
      }
    }
    let codec = try ModelledCodec(states: .untrained, names: { _ in nil })
    let bytes = try codec.encode(rows)
    #expect(try bytes.withUnsafeBytes { try ChunkDecoder().decode($0) } == rows)
    rows.times[63] = .max
    let far = try codec.encode(rows)
    #expect(far[0] == 2 && far[1] == PlainCodec.id)
    #expect(try far.withUnsafeBytes { try ChunkDecoder().decode($0) } == rows)
  }

  /// Times without a step, numbers without a change: next to nothing is coded.
  @Test func constantColumnsAreInTheHeader() throws {
    var rows = steadyRows(600)
    for column in rows.columns.indices {
      for index in rows.columns[column].cells.indices { rows.columns[column].cells[index].mantissa = 97 }
    }
    let codec = try ModelledCodec(states: .untrained, names: { _ in nil })
    _ = try codec.encode(rows)
    #expect(codec.sizes.values + codec.sizes.stamps <= 4, "\(codec.sizes)")
  }

  /// Four vitals at 1 Hz without marks, wandering a little.
  func steadyRows(_ count: Int) -> ChunkRows {
    var generator = SplitMix64(state: 9)
    var rows = ChunkRows(patient: 70, device: 9, firstPosition: 1_000_000, lastPosition: 1_002_399)
    rows.times = (0..<Int64(count)).map { 1_700_000_000_000 + $0 * 1000 }
    for (code, start) in [72, 97, 368, 16].enumerated() {
      var level = Int64(start)
      var column = ChunkColumnCells(ChunkColumn(code: VitalCode(index: UInt16(code)), unit: 0, source: 0))
      for row in 0..<count {
        if generator.chance(20) { level += Int64(generator.below(3)) - 1 }
        column.rows.append(UInt32(row))
        column.cells.append(
          ChunkCell(
            value: DecimalValue(mantissa: level, exponent: code == 2 ? -1 : 0), ingestTime: rows.times[row]))
      }
      rows.columns.append(column)
    }
    return rows
  }
}
