import VitalModel

/// What the engine needs to know of one vital, by its place in the layout's tables: handed around at every sample, so it is
/// one pointer.
extension PlanLayout {
  // `@unchecked`: what it points to belongs to the layout and is never written after it was made.
  package struct CodePlan: @unchecked Sendable, BitwiseCopyable {
    private let facts: UnsafePointer<CodeFacts>
    init(_ facts: UnsafePointer<CodeFacts>) { self.facts = facts }

    @inline(__always)
    package var windows: Table<Window> { facts.pointee.windows }
    /// What a series computes once a message for all rules; position is the bit in ``SeriesWindows/changed``.
    @inline(__always)
    package var features: Table<SeriesFeature> { facts.pointee.features }
    /// How much event time a series keeps at least, milliseconds, and how many samples.
    @inline(__always)
    package var retention: Int64 { facts.pointee.retention }
    @inline(__always)
    package var keptCount: Int { facts.pointee.keptCount }
    /// Lengths of silence rules ask for, ascending, milliseconds.
    @inline(__always)
    package var absences: Table<Int64> { facts.pointee.absences }
    /// Rules judged for each series of this vital.
    @inline(__always)
    package var seriesRules: Table<Int> { facts.pointee.seriesRules }
    /// For each of them the features whose change may change its answer; all bits: it must be judged every time.
    @inline(__always)
    package var seriesMasks: Table<UInt64> { facts.pointee.seriesMasks }
    /// Rules judged once a patient that read this vital, and the features of this vital they read.
    @inline(__always)
    package var patientRules: Table<Int> { facts.pointee.patientRules }
    @inline(__always)
    package var patientMasks: Table<UInt64> { facts.pointee.patientMasks }
    @inline(__always)
    package var scoreFeeds: Table<ScoreFeed> { facts.pointee.scoreFeeds }
    @inline(__always)
    package var registryStaleness: Int64 { facts.pointee.registryStaleness }
    @inline(__always)
    package var resolutionExponent: Int { facts.pointee.resolutionExponent }
    /// Numbers in unit 0 need no conversion, only rounding.
    @inline(__always)
    package var isPlain: Bool { facts.pointee.isPlain }
  }

  /// What a ``CodePlan`` points to.
  // `@unchecked`: its tables belong to the layout and are never written after they were made.
  struct CodeFacts: @unchecked Sendable, BitwiseCopyable {
    var windows: Table<Window>
    var features: Table<SeriesFeature>
    var retention: Int64
    var keptCount: Int
    var absences: Table<Int64>
    var seriesRules: Table<Int>
    var seriesMasks: Table<UInt64>
    var patientRules: Table<Int>
    var patientMasks: Table<UInt64>
    var scoreFeeds: Table<ScoreFeed>
    var registryStaleness: Int64
    var resolutionExponent: Int
    var isPlain: Bool
  }
}
