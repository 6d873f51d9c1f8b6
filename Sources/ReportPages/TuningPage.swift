import Statistics

/// A search over settings as one self-contained page: the figures to quote first, then what they were chosen from.
package struct TuningPage: Sendable {
  /// Of the chosen setting, on the patients it was chosen on.
  private let report: EvaluationReport
  private let points: [OperatingPoint]
  private let subject: PageSubject
  /// What was sought, in plain words; empty: not said.
  package var objective = ""
  /// How many settings there were, where ``points`` are only some of them: one sentence; empty: ``points`` are all.
  package var tried = ""
  /// The figures to quote: each patient judged by a setting chosen on others.
  package var crossValidated: [PageFigure] = []
  /// Of patients nobody had looked at.
  package var heldOut: [PageFigure] = []
  /// The same less today's rules, paired by patient.
  package var comparison: [PageFigure] = []
  /// By group of patients, cross-validated.
  package var groups: [Group] = []
  /// How much the choice matters: one sentence each.
  package var flatness: [String] = []
  /// Folds, rungs, what was left out: one sentence each.
  package var notes: [String] = []
  package var score: ScoreSheet?
  /// The rule file as written; empty: none.
  package var ruleText = ""
  package var clock: [ClockPoint] = []
  package var stages: [StageEffect] = []
  package var traces: [PatientTrace] = []

  /// Patients of one kind.
  package struct Group: Sendable {
    package var name: String
    package var patients: Int
    package var events: Int
    package var detected: Int
    package var sensitivity: Figure?
    package var burden: Figure?
    package var margin: Figure?

    package init(_ name: String, patients: Int, events: Int, detected: Int) {
      self.name = name
      self.patients = patients
      self.events = events
      self.detected = detected
    }
  }

  /// - Parameters:
  ///   - report: of the chosen setting.
  ///   - points: every setting tried, with the front, the chosen one and today's marked.
  package init(report: EvaluationReport, points: [OperatingPoint], subject: PageSubject = PageSubject()) {
    self.report = report
    self.points = points
    self.subject = subject
  }

  /// Equal values give equal text.
  package var html: String {
    let material = PageMaterial(
      report: report, subject: subject, points: points, clock: clock, stages: stages, traces: traces, isTuning: true)
    let sections = PageSections(material: material)
    return sections.page(title: subject.title.isEmpty ? "Settings chosen from a recording" : subject.title) { out in
      out.section("result", "The result") { writeResult(to: &$0) }
      if let score { out.section("score", "The score") { score.write(to: &$0) } }
      if !flatness.isEmpty {
        out.section("flatness", "How much the choice matters") { $0.list(flatness) }
      }
      out.section("apparent", "The chosen setting on the patients it was chosen on") {
        $0.paragraph(
          "From here on everything is of the chosen setting on the very patients it was chosen on, which flatters it. Quote "
            + "the figures above.")
        sections.writeTiles(to: &$0)
      }
      sections.writeBody(to: &out)
      if !ruleText.isEmpty {
        out.section("rule", "The rule file") { section in
          section.details("Show the file") { $0.words("pre", ruleText, "tabindex=\"0\"") }
        }
      }
    }
  }

  private func writeResult(to out: inout PageText) {
    if !objective.isEmpty { out.paragraph("Sought: \(objective).") }
    if let chosen = points.first(where: \.isChosen) {
      out.table(
        "The chosen setting", head: ["Setting", "Chosen", "Today"],
        rows: chosen.values.map { value in
          let today = points.first(where: \.isToday)?.values.first { $0.name == value.name }?.value
          return [value.name, value.value, today ?? "–"]
        })
    } else {
      out.paragraph("No setting was chosen: none meets what was sought.")
    }
    out.paragraph(
      !tried.isEmpty
        ? tried
        : "\(points.count) settings tried, \(points.count(where: \.isOnFront)) of them such that no other is better in both "
          + "burden and what was sought.")
    out.figures("Cross-validated: each patient judged by a setting chosen on others. Quote these", crossValidated)
    out.figures("Held out: patients nobody had looked at, judged once", heldOut)
    out.figures("Cross-validated less today, paired by patient", comparison)
    if !groups.isEmpty {
      out.table(
        "By group of patients, cross-validated",
        head: ["", "Patients", "Detected", "Sensitivity", "A patient-day", "Margin"],
        rows: groups.map { group in
          [
            group.name, "\(group.patients)", "\(group.detected) of \(group.events)",
            FigureStyle.share.both(group.sensitivity), FigureStyle.number.both(group.burden),
            FigureStyle.signed.both(group.margin),
          ]
        })
    }
    out.list(notes)
  }
}
