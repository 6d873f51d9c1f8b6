/// A set of models that chunks start from: what training found out about stamps and about each vital's values.
///
/// A set is immutable: its bytes and its number belong together for ever, and a chunk names the number. Model 0 of either
/// kind is the untrained one, in every set. See `docs/formats/chunk.md`.
package struct StartStates: Sendable {
  /// What a value model was trained on; the one of a column is looked up by it.
  package struct Name: Hashable, Sendable, CustomStringConvertible {
    /// The registry's key of the vital, or `generic`.
    package var vital: String
    package var cadence: Cadence
    package var unrest: Unrest

    /// Of the model for cells' quality; no registry has such a key.
    package static let quality = Name(vital: "(quality)", cadence: .seconds, unrest: .calm)

    package var description: String { "\(vital)/\(cadence)/\(unrest)" }
  }

  /// How far apart a column's cells are in the mean.
  package enum Cadence: UInt8, Sendable, CaseIterable {
    /// Up to 10 s.
    case seconds
    /// Up to 10 min.
    case minutes
    case hours
  }

  /// How much a column's numbers move from cell to cell in the mean, in units of its divisor.
  package enum Unrest: UInt8, Sendable, CaseIterable {
    /// Less than 3/4.
    case calm
    /// Less than 6.
    case lively
    case wild
  }

  /// What a stamp model was trained on.
  package enum StampKind: UInt8, Sendable, CaseIterable {
    /// Stamps on whole seconds or longer units, up to 10 s apart.
    case grid
    /// Stamps in ms that scatter about a grid, up to 10 s apart.
    case scattered
    /// Stamps further apart.
    case slow
    /// Ingest delays.
    case delays
  }

  /// The name of models that serve every vital without one of its own.
  package static let genericVital = "generic"

  /// The number chunks name the set by.
  package let id: UInt32
  /// The stored form.
  package let bytes: [UInt8]
  /// Of the models from number 1 on.
  package let valueNames: [Name]
  package let stampKinds: [StampKind]
  /// All models' words: the value models', the untrained first, then the stamp models'.
  private let words: [UInt32]

  /// Set 0: untrained, always there.
  package static let untrained = StartStates()

  private init() {
    id = 0
    bytes = []
    valueNames = []
    stampKinds = []
    words = ValueModel.fresh + StampModel.fresh
  }

  /// Models of one sort in a set, the untrained one not counted.
  package static let modelsMax = 250

  var valueModelCount: Int { valueNames.count + 1 }
  var stampModelCount: Int { stampKinds.count + 1 }

  /// Copies a model to where a chunk works on it.
  ///
  /// - Precondition: the model is one of the set's.
  @inline(__always)
  func copyValueModel(_ model: Int, to target: UnsafeMutablePointer<UInt32>) {
    precondition(model < valueModelCount)
    words.withUnsafeBufferPointer { words in
      target.update(
        from: words.baseAddress.unsafelyUnwrapped + model * ValueModel.wordCount, count: ValueModel.wordCount)
    }
  }

  @inline(__always)
  func copyStampModel(_ model: Int, to target: UnsafeMutablePointer<UInt32>) {
    precondition(model < stampModelCount)
    words.withUnsafeBufferPointer { words in
      target.update(
        from: words.baseAddress.unsafelyUnwrapped + valueModelCount * ValueModel.wordCount + model
          * StampModel.wordCount, count: StampModel.wordCount)
    }
  }

  /// The number of the model for a column: its vital's, else the generic one, else the untrained.
  func valueModel(_ vital: String?, _ cadence: Cadence, _ unrest: Unrest) -> Int {
    func index(_ vital: String) -> Int? {
      valueNames.firstIndex(of: Name(vital: vital, cadence: cadence, unrest: unrest)).map { $0 + 1 }
    }
    return vital.flatMap(index) ?? index(StartStates.genericVital) ?? 0
  }

  /// The number of the model for quality.
  var qualityModel: Int { valueNames.firstIndex(of: .quality).map { $0 + 1 } ?? 0 }

  func stampModel(_ kind: StampKind) -> Int { stampKinds.firstIndex(of: kind).map { $0 + 1 } ?? 0 }

  /// Reads a stored set.
  ///
  /// - Throws: `.truncated`, `.checksum`, `.unknownVersion`, `.corrupt`, `.outOfMemory`; nothing in `bytes` makes it trap.
  package init(bytes: [UInt8]) throws(ChunkError) {
    let stored = try StoredStates(bytes)
    id = stored.id
    valueNames = stored.valueNames
    stampKinds = stored.stampKinds
    words = stored.words
    self.bytes = bytes
  }

  /// Models as trained, by way of their stored form, so that whoever reads the set later starts from the same numbers.
  init(
    id: UInt32, values: [(name: Name, words: [UInt32])], stamps: [(kind: StampKind, words: [UInt32])]
  ) throws(ChunkError) {
    precondition(values.count <= StartStates.modelsMax && stamps.count <= StartStates.modelsMax)
    try self.init(bytes: try StoredStates.bytes(id: id, values: values, stamps: stamps))
  }
}
