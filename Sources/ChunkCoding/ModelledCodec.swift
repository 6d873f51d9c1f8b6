import Compression
import VitalModel

/// Codec 2: stamps on a grid, numbers predicted by mixed contexts from trained start states, a binary range coder.
///
/// Integer arithmetic only, so that every processor makes the same bytes. Rows it would not make smaller (or whose times
/// span decades) are packed by ``PlainCodec`` behind the same header. Not for use from two threads at once.
package final class ModelledCodec: ChunkCodec {
  package static let id: UInt8 = 2

  /// The set that chunks are written with.
  package let states: StartStates
  /// What the last chunk's bytes held; zeros beside the header where the plain codec packed it.
  package private(set) var sizes = ChunkSizes()

  private let names: (VitalCode) -> String?
  private var models: [ModelKey: Int] = [:]
  private let memory = CodecMemory()
  private let plain: PlainCodec
  private let compressor: ZstdCompressor
  private let decoder: ModelledDecoder

  private struct ModelKey: Hashable {
    var code: VitalCode
    var cadence: StartStates.Cadence
    var unrest: StartStates.Unrest
  }

  /// - Parameters:
  ///   - states: the set to write with; reading back also knows set 0 and the built-in one.
  ///   - names: the registry's key of a code, by which its model is found.
  /// - Throws: `.outOfMemory`.
  package init(states: StartStates, names: @escaping (VitalCode) -> String?) throws(ChunkError) {
    self.states = states
    self.names = names
    plain = try PlainCodec()
    do throws(CompressionError) { compressor = try ZstdCompressor(level: 3) } catch { throw .outOfMemory }
    decoder = try ModelledDecoder(states: [states])
  }

  package func decode(_ bytes: UnsafeRawBufferPointer) throws(ChunkError) -> ChunkRows { try decoder.decode(bytes) }

  // MARK: Encoding

  package func encode(_ rows: ChunkRows) throws(ChunkError) -> [UInt8] {
    guard rows.isWellFormed else { throw .notWellFormed }
    sizes = ChunkSizes()
    guard let draft = ChunkDraft(rows, memory) else { return try encodePlainly(rows) }
    var body = ChunkBody()
    body.states = states.id
    body.stamps = draft.stamps
    body.stampModel = states.stampModel(draft.stampKind)
    for (summary, plan) in zip(draft.header.columns, draft.plans) {
      body.columns.append(.init(scale: plan.scale, model: model(of: summary, plan, draft.header)))
    }
    let marks = MarksSection(of: rows)
    if marks.hasScatteredDelays { body.delayModel = states.stampModel(.delays) }
    let qualities = MarksSection.scatteredQualities(rows)
    if !qualities.isEmpty { body.qualityModel = states.qualityModel }
    let marksBytes = try packed(
      marks.bytes(
        rows, scales: draft.plans.map(\.scale), codesDelays: body.delayModel != nil, codedQualities: qualities), &body)

    var writer = BitWriter(draft.header.compactBytes())
    sizes.header = writer.bytes.count
    body.append(to: &writer, rowCount: rows.times.count)
    writer.align()
    sizes.frame = writer.bytes.count - sizes.header
    sizes.marks = marksBytes.count
    guard let coded = encodeBits(rows, draft, body, marks, qualities) else { return try encodePlainly(rows) }

    var chunk = ByteWriter(capacity: writer.bytes.count + marksBytes.count + coded + 4)
    chunk.append(raw: writer.bytes)
    chunk.append(raw: marksBytes)
    chunk.append(raw: UnsafeRawBufferPointer(start: memory.coded.start, count: coded))
    chunk.append(littleEndian: Checksums.crc32c(chunk.bytes))
    return chunk.bytes
  }

  private func encodePlainly(_ rows: ChunkRows) throws(ChunkError) -> [UInt8] {
    sizes = ChunkSizes()
    let bytes = try plain.encode(rows, version: ChunkHeader.formatVersion)
    sizes.header = ChunkHeader(of: rows, codec: PlainCodec.id, version: ChunkHeader.formatVersion).compactBytes().count
    sizes.values = bytes.count - sizes.header - sizes.checksum
    return bytes
  }

  private func model(of summary: ColumnSummary, _ plan: ColumnPlan, _ header: ChunkHeader) -> Int {
    let key = ModelKey(code: summary.column.code, cadence: .init(summary, header), unrest: .init(plan))
    if let known = models[key] { return known }
    let model = states.valueModel(names(key.code), key.cadence, key.unrest)
    models[key] = model
    return model
  }

  private func packed(_ marks: [UInt8], _ body: inout ChunkBody) throws(ChunkError) -> [UInt8] {
    body.packing = marks.isEmpty ? .none : .stored
    body.marksByteCount = marks.count
    // Below this zstd's frame takes what it saves.
    guard marks.count >= 48 else { return marks }
    let small: [UInt8]
    do throws(CompressionError) { small = try compressor.compress(marks) } catch { throw .outOfMemory }
    guard small.count < marks.count else { return marks }
    body.packing = .zstd
    body.marksByteCount = small.count
    return small
  }

  /// - Returns: how many bytes of `memory.coded` are the coded bits; nil where they are more than the plain codec takes at
  ///   its worst.
  private func encodeBits(
    _ rows: ChunkRows, _ draft: ChunkDraft, _ body: ChunkBody, _ marks: MarksSection, _ qualities: [Int]
  ) -> Int? {
    let rowCount = rows.times.count
    let header = draft.header
    let room = UnsafeMutableBufferPointer(start: memory.coded.start, count: ChunkDraft.codedBytesMax(rows))
    var coder = RangeEncoder(room)
    states.copyStampModel(body.stampModel, to: memory.stampModel)
    StampCoder.code(
      &coder, model: BitModel(memory.stampModel), frame: body.stamps, memory.stamps.start, count: rowCount - 2)
    sizes.stamps = coder.byteCount
    var beside: UnsafeMutablePointer<UInt8>?
    var values = memory.values.start
    var bitmap = memory.presence.start
    for (index, plan) in draft.plans.enumerated() {
      let count = header.columns[index].cellCount
      var before = coder.byteCount
      states.copyValueModel(body.columns[index].model, to: memory.valueModel)
      let model = BitModel(memory.valueModel)
      if count < rowCount {
        PresenceCoder.code(&coder, model: model, bitmap, beside: beside, rowCount: rowCount, count: count)
        beside = bitmap
        bitmap += rowCount
        sizes.presence += coder.byteCount - before
        before = coder.byteCount
      }
      ColumnCoder.encode(&coder, model: model, plan, values, count: count)
      values += count
      sizes.values += coder.byteCount - before
    }
    var before = coder.byteCount
    if let qualityModel = body.qualityModel {
      states.copyValueModel(qualityModel, to: memory.valueModel)
      for index in qualities {
        QualityCoder.encode(&coder, BitModel(memory.valueModel), rows.columns[index].cells, memory.values.start)
      }
    }
    if let delayModel = body.delayModel {
      states.copyStampModel(delayModel, to: memory.stampModel)
      let delays = memory.stamps.start
      for row in 0..<rowCount { delays[row] = marks.marks.delays[row] }
      DelayCoder.code(&coder, model: BitModel(memory.stampModel), delays, count: rowCount)
    }
    sizes.codedMarks = coder.byteCount - before
    before = coder.byteCount
    coder.finish()
    sizes.values += coder.byteCount - before
    return coder.isFull ? nil : coder.byteCount
  }
}

extension StartStates.Cadence {
  init(_ summary: ColumnSummary, _ header: ChunkHeader) {
    let span = UInt64(bitPattern: header.lastTime &- header.firstTime)
    let spacing = span / UInt64(max(1, summary.cellCount - 1))
    self = spacing <= 10_000 ? .seconds : spacing <= 600_000 ? .minutes : .hours
  }
}

extension StartStates.Unrest {
  init(_ plan: ColumnPlan) { self = plan.unrest < 12 ? .calm : plan.unrest < 96 ? .lively : .wild }
}

/// What an encoder knows of rows before it codes them; the stamps, numbers and presence stand in the codec's memory.
struct ChunkDraft {
  var header: ChunkHeader
  var stamps: StampFrame
  var plans: [ColumnPlan] = []

  /// - Returns: nil where the times span too long for this codec.
  init?(_ rows: ChunkRows, _ memory: CodecMemory) {
    let rowCount = rows.times.count
    let gapped = rows.columns.reduce(0) { $0 + ($1.cells.count < rowCount ? 1 : 0) }
    memory.reserve(
      rows: rowCount, cells: rows.cellCount, presence: gapped * rowCount, codedBytes: ChunkDraft.codedBytesMax(rows))
    guard let stamps = StampPlan.make(rows.times, memory.stamps.start) else { return nil }
    self.stamps = stamps
    var values = memory.values.start
    var bitmap = memory.presence.start
    for column in rows.columns {
      plans.append(ColumnPlan(column.cells, values))
      values += column.cells.count
      guard column.cells.count < rowCount else { continue }
      bitmap.update(repeating: 0, count: rowCount)
      for row in column.rows { bitmap[Int(row)] = 1 }
      bitmap += rowCount
    }
    header = ChunkHeader(of: rows, codec: ModelledCodec.id, figures: plans.map(\.figures))
  }

  /// Room for the coded bits: somewhat more than any chunk needs that is worth coding so.
  static func codedBytesMax(_ rows: ChunkRows) -> Int { 256 + rows.times.count * 12 + rows.cellCount * 12 }

  /// The sort of model that suits the stamps.
  var stampKind: StartStates.StampKind {
    let period = stamps.unitLength * stamps.period >> 8
    return period > 10_000 ? .slow : stamps.unitLength >= 1000 ? .grid : .scattered
  }
}
