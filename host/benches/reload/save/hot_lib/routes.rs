        .route(
            "/api/invoices",
            get(async |State(db): State<Db>| hot_lib::invoice_list(&db.all("invoice").await))
                .post(async |State(db): State<Db>| hot_lib::invoice_created(&db.insert("invoice").await)),
        )
        .route(
            "/api/invoices/{id}",
            get(async |State(db): State<Db>, Path(id): Path<i64>| hot_lib::invoice_read(&db.one("invoice", id).await)),
        )
