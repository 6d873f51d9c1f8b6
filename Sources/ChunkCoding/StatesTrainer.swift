import VitalModel

/// Makes start states from chunks such as will be stored: it codes them, one after the other, with models that keep what
/// they learn.
///
/// Not for use from two threads at once.
package final class StatesTrainer {
  /// A model on its way; memory of its own, freed with the trainer.
  private final class Model {
    let words: UnsafeMutablePointer<UInt32>
    let count: Int
    /// Cells or stamps it has seen.
    var seen = 0

    init(_ fresh: [UInt32]) {
      count = fresh.count
      words = .allocate(capacity: count)
      words.initialize(from: fresh, count: count)
    }

    deinit { words.deallocate() }

    var array: [UInt32] { Array(UnsafeBufferPointer(start: words, count: count)) }
  }

  /// Cells or stamps a model must have seen to be kept: fewer would teach it chance.
  package static let seenMin = 500

  private var values: [StartStates.Name: Model] = [:]
  private var stamps: [StartStates.StampKind: Model] = [:]
  private let memory = CodecMemory()

  package init() {}

  /// Learns from the rows of one chunk; what the modelled codec would not take teaches nothing.
  ///
  /// - Parameter names: the registry's key of a code; nil: only the generic models learn from it.
  /// - Throws: `.notWellFormed`.
  package func add(rows: ChunkRows, names: (VitalCode) -> String?) throws(ChunkError) {
    guard rows.isWellFormed else { throw .notWellFormed }
    guard let draft = ChunkDraft(rows, memory) else { return }
    let rowCount = rows.times.count
    let room = UnsafeMutableBufferPointer(start: memory.coded.start, count: ChunkDraft.codedBytesMax(rows))
    var coder = RangeEncoder(room)
    let stampModel = stampModel(draft.stampKind, rowCount)
    StampCoder.code(
      &coder, model: BitModel(stampModel.words), frame: draft.stamps, memory.stamps.start, count: rowCount - 2)
    var values = memory.values.start
    var bitmap = memory.presence.start
    var beside: UnsafeMutablePointer<UInt8>?
    for (summary, plan) in zip(draft.header.columns, draft.plans) {
      let count = summary.cellCount
      let isGapped = count < rowCount
      let vitals = [names(summary.column.code), StartStates.genericVital].compactMap { $0 }
      for vital in vitals {
        let name = StartStates.Name(
          vital: vital, cadence: .init(summary, draft.header), unrest: .init(plan))
        let model = BitModel(valueModel(name, count).words)
        if isGapped {
          PresenceCoder.code(&coder, model: model, bitmap, beside: beside, rowCount: rowCount, count: count)
        }
        ColumnCoder.encode(&coder, model: model, plan, values, count: count)
      }
      if isGapped {
        beside = bitmap
        bitmap += rowCount
      }
      values += count
    }
    learnMarks(rows, &coder)
  }

  private func learnMarks(_ rows: ChunkRows, _ coder: inout RangeEncoder) {
    for index in MarksSection.scatteredQualities(rows) {
      let cells = rows.columns[index].cells
      QualityCoder.encode(&coder, BitModel(valueModel(.quality, cells.count).words), cells, memory.values.start)
    }
    let marks = MarksSection(of: rows)
    guard marks.hasScatteredDelays else { return }
    for row in rows.times.indices { memory.stamps.start[row] = marks.marks.delays[row] }
    DelayCoder.code(
      &coder, model: BitModel(stampModel(.delays, rows.times.count).words), memory.stamps.start,
      count: rows.times.count)
  }

  private func valueModel(_ name: StartStates.Name, _ count: Int) -> Model {
    let model = values[name] ?? Model(ValueModel.fresh)
    values[name] = model
    model.seen += count
    return model
  }

  private func stampModel(_ kind: StartStates.StampKind, _ count: Int) -> Model {
    let model = stamps[kind] ?? Model(StampModel.fresh)
    stamps[kind] = model
    model.seen += count
    return model
  }

  /// The set of what was learned; the models that saw most come first, since chunks name them shortest.
  ///
  /// - Parameters:
  ///   - id: the set's number, from 1 on, never used for another.
  ///   - keepsValues: whether models of numbers are in it. Of a simulator they are best left out: real monitors' numbers
  ///     move otherwise, and a model taught wrong costs more than none; stamps, delays and quality carry over.
  /// - Throws: `.outOfMemory`.
  package func finish(id: UInt32, keepsValues: Bool = true) throws(ChunkError) -> StartStates {
    precondition(id > 0, "set 0 is the untrained one")
    let kept = values.filter { $0.value.seen >= StatesTrainer.seenMin && (keepsValues || $0.key == .quality) }
      .sorted { ($1.value.seen, $0.key.description) < ($0.value.seen, $1.key.description) }
      .prefix(StartStates.modelsMax)
    let keptStamps = stamps.filter { $0.value.seen >= StatesTrainer.seenMin }
      .sorted { ($1.value.seen, $0.key.rawValue) < ($0.value.seen, $1.key.rawValue) }
    return try StartStates(
      id: id, values: kept.map { ($0.key, $0.value.array) },
      stamps: keptStamps.map { ($0.key, $0.value.array) })
  }
}
