import Compression
import VitalModel

/// Reads what ``ModelledCodec`` wrote, given the start states it was written from. Not for use from two threads at once.
final class ModelledDecoder {
  private var sets: [UInt32: StartStates]
  private let memory = CodecMemory()
  private let decompressor: ZstdDecompressor

  /// - Parameter states: the sets besides set 0 and the built-in one, which are always known.
  init(states: [StartStates]) throws(ChunkError) {
    sets = [StartStates.untrained.id: .untrained, StartStates.builtIn.id: .builtIn]
    for set in states { sets[set.id] = set }
    do throws(CompressionError) { decompressor = try ZstdDecompressor() } catch { throw .outOfMemory }
  }

  /// The parts of a chunk's body; the pointers live as long as the bytes lent.
  private struct Parts {
    var body: ChunkBody
    var states: StartStates
    var marks: UnsafeRawBufferPointer
    var coder: RangeDecoder
    var scales: [ColumnPlan.Scale] { body.columns.map(\.scale) }
  }

  private func parts(_ bytes: UnsafeRawBufferPointer, _ header: ChunkHeader) throws(ChunkError) -> Parts {
    guard header.codec == ModelledCodec.id else { throw .unknownCodec(header.codec) }
    guard header.version == ChunkHeader.formatVersion else { throw .corrupt("version and codec") }
    let end = bytes.count - 4
    var reader = BitReader(UnsafeRawBufferPointer(rebasing: bytes[..<end]), from: header.byteCount)
    let body = try ChunkBody(&reader, header, limit: end)
    guard let states = sets[body.states] else { throw .missingStates(body.states) }
    guard body.stampModel < states.stampModelCount, body.delayModel ?? 0 < states.stampModelCount,
      body.qualityModel ?? 0 < states.valueModelCount,
      body.columns.allSatisfy({ $0.model < states.valueModelCount })
    else { throw .corrupt("a model's number") }
    let start = reader.byteOffset
    guard body.marksByteCount <= end - start else { throw .truncated }
    let middle = start + body.marksByteCount
    let coded = UnsafeRawBufferPointer(rebasing: bytes[middle..<end])
    return Parts(
      body: body, states: states, marks: UnsafeRawBufferPointer(rebasing: bytes[start..<middle]),
      coder: RangeDecoder(coded, nothing: memory.nothing))
  }

  // MARK: Rows with marks

  func decode(_ bytes: UnsafeRawBufferPointer) throws(ChunkError) -> ChunkRows {
    let header = try ChunkHeader(bytes, checksum: true)
    var parts = try parts(bytes, header)
    reserve(header)
    var rows = ChunkRows(
      patient: header.patient, device: header.device, group: header.group, firstPosition: header.firstPosition,
      lastPosition: header.lastPosition)
    rows.times = try decodeTimes(&parts, header)
    rows.columns.reserveCapacity(header.columns.count)
    var cursor = Cursor(memory)
    for (index, summary) in header.columns.enumerated() {
      let values = try decodeColumn(&parts, header, index, &cursor)
      rows.columns.append(column(summary, parts.body.columns[index].scale, header, cursor, values))
    }
    try decodeMarks(&parts, header, into: &rows)
    guard parts.coder.isAtEnd else { throw .corrupt("bytes after the last column") }
    return rows
  }

  /// Where the next column's numbers and presence go.
  private struct Cursor {
    var values: UnsafeMutablePointer<Int64>
    var bitmap: UnsafeMutablePointer<UInt8>
    /// Presence of the column decoded last, nil where it has no gaps.
    var current: UnsafeMutablePointer<UInt8>?
    /// Presence of the last column with gaps.
    var beside: UnsafeMutablePointer<UInt8>?

    init(_ memory: CodecMemory) {
      values = memory.values.start
      bitmap = memory.presence.start
    }
  }

  private func reserve(_ header: ChunkHeader) {
    let gapped = header.columns.reduce(0) { $0 + ($1.cellCount < header.rowCount ? 1 : 0) }
    memory.reserve(
      rows: header.rowCount, cells: header.cellCount, presence: gapped * header.rowCount, codedBytes: 0)
  }

  private func decodeTimes(_ parts: inout Parts, _ header: ChunkHeader) throws(ChunkError) -> [Int64] {
    let count = header.rowCount
    let stamps = memory.stamps.start
    stamps[0] = 0
    parts.states.copyStampModel(parts.body.stampModel, to: memory.stampModel)
    StampCoder.code(
      &parts.coder, model: BitModel(memory.stampModel), frame: parts.body.stamps, stamps, count: count - 2)
    let unit = parts.body.stamps.unitLength
    let first = header.firstTime
    if unit == 1 {
      for index in 0..<count { stamps[index] &+= first }
    } else {
      for index in 0..<count { stamps[index] = first &+ stamps[index] &* unit }
    }
    stamps[count - 1] = header.lastTime
    guard stamps[0] == first else { throw .corrupt("times") }
    var isAscending = true
    for index in 1..<max(1, count) where stamps[index] < stamps[index - 1] { isAscending = false }
    guard isAscending else { throw .corrupt("times") }
    return Array(UnsafeBufferPointer(start: stamps, count: count))
  }

  /// - Returns: the column's numbers.
  private func decodeColumn(
    _ parts: inout Parts, _ header: ChunkHeader, _ index: Int, _ cursor: inout Cursor
  ) throws(ChunkError) -> UnsafeMutablePointer<Int64> {
    let summary = header.columns[index]
    let count = summary.cellCount
    parts.states.copyValueModel(parts.body.columns[index].model, to: memory.valueModel)
    let model = BitModel(memory.valueModel)
    cursor.current = nil
    if count < header.rowCount {
      PresenceCoder.code(
        &parts.coder, model: model, cursor.bitmap, beside: cursor.beside, rowCount: header.rowCount, count: count)
      cursor.beside = cursor.bitmap
      cursor.current = cursor.bitmap
      cursor.bitmap += header.rowCount
    }
    let values = cursor.values
    cursor.values += count
    guard !parts.body.columns[index].scale.needsFigures || summary.figures != nil,
      ColumnCoder.decode(&parts.coder, model: model, summary.figures, values, count: count)
    else { throw .corrupt("a column's figures") }
    return values
  }

  private func column(
    _ summary: ColumnSummary, _ scale: ColumnPlan.Scale, _ header: ChunkHeader, _ cursor: Cursor,
    _ values: UnsafeMutablePointer<Int64>
  ) -> ChunkColumnCells {
    let count = summary.cellCount
    let exponent = summary.figures?.exponent ?? 0
    let cells = [ChunkCell](unsafeUninitializedCapacity: count) { buffer, filled in
      for index in 0..<count {
        var value = DecimalValue(mantissa: values[index], exponent: exponent)
        if case .stripped(let ceiling) = scale {
          value = ColumnPlan.stripped(values[index], exponent: exponent, ceiling: ceiling)
        }
        buffer.initializeElement(at: index, to: ChunkCell(value: value))
      }
      filled = count
    }
    return ChunkColumnCells(
      summary.column, rows: rowNumbers(cursor.current, rowCount: header.rowCount, count: count), cells: cells)
  }

  private func rowNumbers(_ bitmap: UnsafeMutablePointer<UInt8>?, rowCount: Int, count: Int) -> [UInt32] {
    guard let bitmap else { return (0..<UInt32(rowCount)).map { $0 } }
    return [UInt32](unsafeUninitializedCapacity: count) { buffer, filled in
      for row in 0..<rowCount where bitmap[row] != 0 && filled < count {
        buffer.initializeElement(at: filled, to: UInt32(row))
        filled += 1
      }
    }
  }

  // MARK: Marks

  /// Hands the unpacked marks to `body`.
  private func withMarks<Value>(
    _ parts: Parts, _ header: ChunkHeader, _ body: (inout ByteReader) throws(ChunkError) -> Value
  ) throws(ChunkError) -> Value {
    guard parts.body.packing == .zstd else {
      var reader = ByteReader(parts.marks)
      return try body(&reader)
    }
    let unpacked: [UInt8]
    do throws(CompressionError) {
      unpacked = try decompressor.decompress(parts.marks, limit: MarksSection.byteCountMax(header))
    } catch {
      throw error == .outOfMemory ? .outOfMemory : .corrupt("marks")
    }
    let result: Result<Value, ChunkError> = unpacked.withUnsafeBytes { raw in
      Result { () throws(ChunkError) in
        var reader = ByteReader(raw)
        return try body(&reader)
      }
    }
    return try result.get()
  }

  private func decodeMarks(_ parts: inout Parts, _ header: ChunkHeader, into rows: inout ChunkRows) throws(ChunkError) {
    var section = MarksSection(rowCount: header.rowCount)
    var told: (delays: Bool, qualities: [MarksSection.QualitySource]) = (false, [])
    if parts.body.packing == .none {
      guard !parts.scales.contains(where: \.listsExponents) else { throw .corrupt("exponents") }
    } else {
      let scales = parts.scales
      told = try withMarks(parts, header) { reader throws(ChunkError) in
        let exponents = try MarksSection.exponents(&reader, header, scales: scales)
        for index in rows.columns.indices where scales[index].listsExponents {
          try ModelledDecoder.restore(&rows.columns[index].cells, exponents[index], isScaled: scales[index] == .scaled)
        }
        return try section.read(&reader, header, into: &rows)
      }
    }
    guard told.delays == (parts.body.delayModel != nil) else { throw .corrupt("delays") }
    try decodeQualities(&parts, told.qualities, into: &rows)
    if let delayModel = parts.body.delayModel {
      parts.states.copyStampModel(delayModel, to: memory.stampModel)
      DelayCoder.code(&parts.coder, model: BitModel(memory.stampModel), memory.stamps.start, count: header.rowCount)
      section.setDelays(memory.stamps.start)
    }
    section.marks.apply(to: &rows)
  }

  private func decodeQualities(
    _ parts: inout Parts, _ sources: [MarksSection.QualitySource], into rows: inout ChunkRows
  ) throws(ChunkError) {
    guard sources.contains(.coded) == (parts.body.qualityModel != nil) else { throw .corrupt("quality") }
    if let qualityModel = parts.body.qualityModel { parts.states.copyValueModel(qualityModel, to: memory.valueModel) }
    for (index, source) in sources.enumerated() {
      switch source {
      case .known: break
      case .asBefore:
        for cell in rows.columns[index].cells.indices {
          rows.columns[index].cells[cell].quality = rows.columns[index - 1].cells[cell].quality
        }
      case .coded:
        guard
          QualityCoder.decode(
            &parts.coder, BitModel(memory.valueModel), &rows.columns[index].cells, memory.values.start)
        else { throw .corrupt("quality") }
      }
    }
  }

  /// Gives cells their own exponents back.
  private static func restore(
    _ cells: inout [ChunkCell], _ exponents: [Int8], isScaled: Bool
  ) throws(ChunkError) {
    let smallest = exponents.min() ?? 0
    for index in cells.indices {
      cells[index].exponent = exponents[index]
      let shift = isScaled ? Int(exponents[index]) - Int(smallest) : 0
      guard let mantissa = unscaledExactly(cells[index].mantissa, shift) else { throw .corrupt("exponents") }
      cells[index].mantissa = mantissa
    }
  }

  // MARK: Flat columns

  func decode(
    _ bytes: UnsafeRawBufferPointer, _ header: ChunkHeader, into chunk: inout DecodedChunk, only wanted: Set<Int>?
  ) throws(ChunkError) {
    var parts = try parts(bytes, header)
    reserve(header)
    chunk.times.append(contentsOf: try decodeTimes(&parts, header))
    let scales = parts.scales
    let exponents =
      !scales.contains(where: \.listsExponents)
      ? []
      : try withMarks(parts, header) { reader throws(ChunkError) in
        try MarksSection.exponents(&reader, header, scales: scales)
      }
    var cursor = Cursor(memory)
    // What lies behind the last column asked for is not looked at.
    let last = wanted.map { $0.max() ?? -1 } ?? header.columns.count - 1
    for index in header.columns.indices where index <= last {
      let values = try decodeColumn(&parts, header, index, &cursor)
      guard wanted?.contains(index) ?? true else { continue }
      let count = header.columns[index].cellCount
      chunk.columns[index].isDecoded = true
      chunk.columns[index].values.append(contentsOf: UnsafeBufferPointer(start: values, count: count))
      chunk.columns[index].exponent = header.columns[index].figures?.exponent ?? 0
      if let bitmap = cursor.current {
        chunk.columns[index].rows.append(contentsOf: rowNumbers(bitmap, rowCount: header.rowCount, count: count))
      }
      if case .stripped(let ceiling) = scales[index] { chunk.columns[index].strip(ceiling: ceiling) }
      guard scales[index].listsExponents else { continue }
      try chunk.columns[index].restore(exponents[index], isScaled: scales[index] == .scaled)
    }
  }
}

extension DecodedChunk.Column {
  fileprivate mutating func strip(ceiling: Int8) {
    exponents.reserveCapacity(values.count)
    for index in values.indices {
      let value = ColumnPlan.stripped(values[index], exponent: exponent, ceiling: ceiling)
      values[index] = value.mantissa
      exponents.append(value.exponent)
    }
  }

  /// Gives cells their own exponents back.
  fileprivate mutating func restore(_ exponents: [Int8], isScaled: Bool) throws(ChunkError) {
    let smallest = exponents.min() ?? 0
    for index in values.indices {
      let shift = isScaled ? Int(exponents[index]) - Int(smallest) : 0
      guard let mantissa = unscaledExactly(values[index], shift) else { throw .corrupt("exponents") }
      values[index] = mantissa
    }
    if exponents.allSatisfy({ $0 == smallest }) { exponent = smallest } else { self.exponents = exponents }
  }
}
