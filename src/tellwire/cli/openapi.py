"""`tellwire openapi`: the document that the server shows at /openapi.json."""
