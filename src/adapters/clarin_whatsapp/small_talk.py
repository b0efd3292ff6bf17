"""What customers of a Peruvian shop say: scripts, each a talk as the customer leads it.

A line in brackets is no text: `[image] ¿tienen este?` is a photo with words below it.
"""

Script = tuple[str, ...]

SCRIPTS: tuple[Script, ...] = (
    (
        "Hola, buenas tardes 👋",
        "¿Tienen las zapatillas blancas en talla 39?",
        "¿Y a cuánto están?",
        "Ya, ¿hacen delivery a San Miguel?",
        "Perfecto, ¿aceptan Yape?",
        "[image] Listo, ya yapeé 🙌",
        "Muchas gracias, muy amable 🙏",
    ),
    (
        "Buenos días, vi su anuncio en Instagram",
        "[image] ¿Todavía tienen este modelo?",
        "¿En qué colores hay?",
        "El azul está bonito, ¿me lo separa hasta el viernes?",
        "¿Cuánto sería de adelanto?",
        "Ya, en la tarde le deposito",
        "[image] Aquí está la constancia",
    ),
    (
        "Buenas, ¿hasta qué hora atienden hoy?",
        "¿Y los domingos también abren?",
        "¿Me pasa la dirección por favor?",
        "Ah ya, cerca al óvalo. ¿Hay dónde estacionar?",
        "Paso mañana a eso de las 11 entonces",
        "Gracias 😊",
    ),
    (
        "Hola, hice un pedido el martes y todavía no llega 😕",
        "El número de pedido es el 4817",
        "Me dijeron 48 horas y ya van tres días",
        "[location] Mi casa",
        "Sí, ahí mismo, la puerta verde",
        "Ya, quedo atenta. Gracias por la ayuda",
    ),
    (
        "Buenas tardes, necesito cotizar uniformes para mi empresa",
        "Serían unos 40 polos y 15 casacas",
        "[document] Le mando el detalle con las tallas",
        "¿El precio incluye el bordado del logo?",
        "¿Y emiten factura?",
        "¿Para cuándo lo tendrían listo?",
        "Lo converso con mi jefe y le confirmo",
        "Nos animamos, ¿cómo hacemos el pago?",
    ),
    (
        "Hola 🙋‍♀️ ¿tienen stock de la mochila gris?",
        "La que sale en la foto de su perfil",
        "[image] Esta",
        "¿Es impermeable?",
        "Me llevo dos. ¿Envían a Arequipa?",
        "¿Por Olva o por Shalom?",
        "Ya, mándeme el número de cuenta por favor",
    ),
    (
        "Señorita buenas noches",
        "[audio]",
        "Sí, el de mujer, talla M",
        "¿Y si no me queda puedo cambiarlo?",
        "Ya perfecto, entonces lo quiero",
        "[audio]",
    ),
    (
        "Buenas, ¿venden al por mayor?",
        "¿Desde cuántas unidades es precio de mayorista?",
        "¿Me puede mandar el catálogo?",
        "Está bien el precio, pero ¿no me hace una rebajita? 😅",
        "Ya pues, si me llevo tres docenas",
        "Hecho. ¿Puedo recoger en la tienda de Gamarra?",
    ),
    (
        "Hola, quisiera hacer un cambio",
        "Compré una casaca el sábado y me quedó chica",
        "[image] Tengo la boleta",
        "¿Tienen una talla más?",
        "Genial, mañana paso. ¡Gracias!",
    ),
    (
        "Buenos días, ¿tienen regalos para el Día de la Madre?",
        "Algo bonito por 100 soles más o menos",
        "¿Incluye envoltura de regalo?",
        "Ay qué lindo 😍 me llevo ese",
        "¿Puede llegar el domingo en la mañana a Surco?",
        "[location] Casa de mi mamá",
        "Que diga: con todo mi cariño, tu hija",
        "Mil gracias 💕",
    ),
    (
        "Consulta, ¿aceptan tarjeta en cuotas?",
        "¿Con qué bancos?",
        "Tengo BCP, ¿tres cuotas sin intereses?",
        "Ya, paso más tarde por la tienda de Miraflores",
    ),
    (
        "Hola de nuevo",
        "Todo llegó bien, muy bonito el empaque 👏",
        "[image] Así quedó",
        "Ya los recomendé con mis amigas",
        "¿Cuándo les llega ropa nueva?",
        "Avísenme porfa, gracias",
    ),
)

ANSWERS: tuple[str, ...] = (
    "¡Hola! Claro que sí, le confirmo el stock ahora mismo",
    "Sí tenemos. Está a S/ 129.90 con envío incluido en Lima",
    "Con gusto. Atendemos de lunes a sábado de 10 a 8",
    "Perfecto, se lo separamos",
    "Puede pagar con Yape, Plin o transferencia",
    "Listo, ya lo estoy revisando",
    "Mañana mismo sale su pedido",
    "Gracias a usted por su compra 🙌",
)
"""What the shop said, in talks of the past."""

NUDGES: tuple[str, ...] = ("¿Hola?", "¿Siguen atendiendo?", "Quedo atenta a su respuesta", "🙏")
"""What somebody says who waits for an answer."""

AGAIN: tuple[str, ...] = (
    "Ya gracias", "Perfecto 👍", "Entiendo, gracias por avisar", "Ok, lo veo y le confirmo",
    "Súper, muchas gracias", "Dale, espero entonces", "¿Y cuánto demoraría?", "Buenísimo 😊",
)  # fmt: skip
"""What somebody answers whose talk was over."""

FEELINGS: tuple[str, ...] = ("👍", "❤️", "🙏", "😂", "😮", "👏")

FIRST_NAMES: tuple[str, ...] = (
    "Rosa", "Luis", "Milagros", "Jorge", "Karina", "José", "Fiorella", "César", "Yesenia", "Raúl",
    "Lucía", "Percy", "Maribel", "Renzo", "Katherine", "Wilmer", "Sofía", "Édgar", "Noemí",
)  # fmt: skip

SURNAMES: tuple[str, ...] = (
    "Quispe", "Flores", "Huamán", "Rojas", "Mamani", "Salazar", "Chávez", "Paredes", "Ñahui",
    "Vásquez", "Cárdenas", "Ríos", "Condori", "Saavedra", "Palomino", "Yupanqui", "Zegarra",
)  # fmt: skip
