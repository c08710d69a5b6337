import Mustache

/// The templates of all text reports. They are Swift strings, so that the command finds them wherever it is started.
enum Templates {
    private struct ContentType: MustacheContentType {
        let escape: @Sendable (String) -> String
        func escapeText(_ text: String) -> String { escape(text) }
    }

    private static let library: Result<MustacheLibrary, ReportError> = {
        // Mustache's own HTML escaping looks at characters and so misses a quote that carries a combining mark.
        MustacheContentTypes.register(ContentType(escape: Escape.html), named: "CRLAB-HTML")
        MustacheContentTypes.register(ContentType(escape: Escape.xml), named: "CRLAB-XML")
        MustacheContentTypes.register(ContentType(escape: Escape.markdown), named: "CRLAB-MARKDOWN")
        var library = MustacheLibrary()
        for (name, text) in [
            ("junit", JUnitReport.template), ("summary", SummaryReport.template), ("page", PageReport.template),
            ("causes", PageReport.causesTemplate), ("cluster", PageReport.clusterTemplate),
            ("hosts", PageReport.hostsTemplate),
        ] {
            do {
                try library.register(text, named: name)
            } catch {
                return .failure(.badTemplate(name: name, why: "\(error)"))
            }
        }
        return .success(library)
    }()

    static func render(_ name: String, _ values: [String: Any]) throws(ReportError) -> String {
        guard let text = try library.get().render(values, withTemplate: name) else {
            throw .badTemplate(name: name, why: "there is no such template")
        }
        return text
    }
}
